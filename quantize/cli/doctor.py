"""``quantize doctor``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from quantize.cli.options import FILES, RUN, Argument, Option, takes_settings
from quantize.cli.terminal import print_json, print_notes, print_result
from quantize.errors import ExitCode

if TYPE_CHECKING:
    from quantize.config.values import Count, Place


@takes_settings(
    "data",
    "model.score_output",
    "model.requantize",
    "model.max_memory",
    "model.opening_seconds",
    "preprocessing",
    "quantization.calibration",
    "quantization.target",
    "quantization.reduce_range",
    "tuning.engine",
    "tuning.random_seed",
)
def doctor(
    *,
    overrides: Mapping[str, object],
    model: Annotated[Place, Argument("The fp32 model.", "MODEL")],
    config: Annotated[Place | None, Option("Settings in YAML; flags win over them.", "FILE", FILES)] = None,
    images: Annotated[Count, Option("Number of images to try.", panel=RUN)] = 300,
    json: Annotated[bool, Option("Print JSON.", panel=RUN)] = False,
    workers: Annotated[Count | None, Option("Processes that decode images. (default: one per core)", panel=RUN)] = None,
) -> ExitCode:
    """Examine model, images, labels and preprocessing before anything is tuned.

    Each finding says what is wrong, how sure that is, what to do, and the flags that do it.

    Exit codes: 0 nothing wrong, 1 something is, 2 something is missing or cannot be read.
    """
    from quantize.cli.progress import drawn_progress
    from quantize.commands.doctor import doctor as examine
    from quantize.config import load_config
    from quantize.examination.findings import doctor_text

    settings = load_config(config, overrides)
    print_notes(settings.notes)
    with drawn_progress() as progress:
        report = examine(model, settings, tried=images, workers=workers, progress=progress)
    print_json(report.model_dump_json(indent=1)) if json else print_result(doctor_text(report))
    return ExitCode.NOT_MET if report.problems else ExitCode.DONE
