"""``quantize doctor``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.progress import drawn_progress
from quantize.cli.setting_flags import FILES, RUN, settings_below, with_settings
from quantize.cli.terminal import print_notes, print_result
from quantize.config import load_config
from quantize.config.values import Count, Place
from quantize.errors import ExitCode

_SETTINGS = settings_below(
    "data",
    "preprocessing",
    "quantization.calibration",
    "quantization.target",
    "quantization.reduce_range",
    "tuning.random_seed",
)


@with_settings(_SETTINGS)
def doctor(
    *,
    overrides: dict[str, object],
    model: Annotated[str, typer.Argument(metavar="MODEL", rich_help_panel=FILES, help="The fp32 model.")],
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", rich_help_panel=FILES, help="Settings in YAML; flags win over them."),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="NUMBER", rich_help_panel=RUN, help="How many to try. (default: 300)"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", metavar=" ", rich_help_panel=RUN, help="Print JSON.")] = False,
    workers: Annotated[
        str | None,
        typer.Option(
            "--workers",
            metavar="NUMBER",
            rich_help_panel=RUN,
            help="Processes that decode images. (default: one a core)",
        ),
    ] = None,
) -> Callable[[], ExitCode]:
    """Examine model, images, labels and preprocessing before anything is tuned.

    Each finding says what is wrong, how sure that is, what to do, and the flags that do it.

    Exit codes: 0 nothing wrong, 1 something is, 2 something is missing or cannot be read.
    """
    file: Path = flag_value("MODEL", model, Place)
    tried: int = flag_value("--images", images, Count) or 300
    processes: int | None = flag_value("--workers", workers, Count)
    settings = load_config(flag_value("--config", config, Place), overrides)

    def begin() -> ExitCode:
        from quantize.commands.doctor import DoctorRequest
        from quantize.commands.doctor import doctor as examine
        from quantize.doctor.text import doctor_text

        print_notes(settings.notes)
        request = DoctorRequest(file, settings, images=tried, workers=processes)
        with drawn_progress() as progress:
            report = examine(request, progress=progress)
        print_result(report.model_dump_json(indent=1) if json else doctor_text(report))
        return ExitCode.NOT_MET if report.problems else ExitCode.DONE

    return begin
