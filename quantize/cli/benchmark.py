"""``quantize benchmark``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from quantize.cli.options import FILES, RUN, Option, takes_settings
from quantize.cli.terminal import print_notes, print_result
from quantize.errors import ExitCode

if TYPE_CHECKING:
    from quantize.config.values import Count, Counts, Fraction, Place


@takes_settings(
    "model.score_output",
    "model.max_memory",
    "model.opening_seconds",
    "data.path",
    "data.labels",
    "preprocessing",
    "quantization.target",
    "tuning.accuracy_criterion",
    "tuning.random_seed",
    "evaluation.performance",
)
def benchmark(
    *,
    overrides: Mapping[str, object],
    input_model: Annotated[
        Place | None,
        Option("The model to measure. Without it: both models of the newest run under runs.", "FILE", FILES),
    ] = None,
    baseline_model: Annotated[
        Place | None, Option("The fp32 model to compare with, in the same process, in turns.", "FILE", FILES)
    ] = None,
    config: Annotated[Place | None, Option("Settings in YAML; flags win over them.", "FILE", FILES)] = None,
    output_dir: Annotated[Place | None, Option("Folder for the reports.", "DIR", FILES)] = None,
    mode: Annotated[
        Literal["accuracy", "performance", "both"],
        Option("What to measure: accuracy, performance or both.", panel=RUN),
    ] = "both",
    calibration_images: Annotated[
        Literal["in", "out"],
        Option("Whether images that calibrated a model count for accuracy; its file tells them.", panel=RUN),
    ] = "in",
    precision: Annotated[
        Fraction,
        Option("Stop when the speed-up's interval is narrower than this.", panel=RUN, default="2%"),
    ],
    batch_sizes: Annotated[Counts | None, Option("Measure throughput at these batch sizes too.", panel=RUN)] = None,
    profile: Annotated[bool, Option("Show the time of every operator.", panel=RUN)] = False,
    skip_unreadable: Annotated[bool, Option("Leave unreadable images out, and list them.", panel=RUN)] = False,
    workers: Annotated[Count | None, Option("Processes that decode images. (default: one per core)", panel=RUN)] = None,
) -> ExitCode:
    """Measure accuracy and speed of a model, or of the newest run, against its fp32 baseline.

    Exit codes: 0 done and met, 1 criterion not met, 2 something to fix, 3 inconclusive, 70 a bug, 130 interrupted.
    """
    from quantize.cli.configuration import configuration
    from quantize.cli.progress import drawn_progress
    from quantize.commands.benchmark import benchmark as benchmark_models
    from quantize.commands.benchmark import exit_code_of
    from quantize.commands.benchmark_subjects import PRECISION, BenchmarkRequest
    from quantize.commands.idle_flags import given_flags, refuse_idle_for_benchmark
    from quantize.report.benchmark_text import benchmark_text
    from quantize.run.folder import newest_run

    own = {"precision": precision != PRECISION, "calibration_images": calibration_images != "in"}
    given = given_flags(overrides, batch_sizes=batch_sizes, profile=profile, **own)
    refuse_idle_for_benchmark(given, mode, compares=input_model is None or baseline_model is not None)
    # A run without a model named is judged by its own criterion, on its own cores.
    run = newest_run(Path("runs")) if input_model is None and config is None else None
    settings = configuration(config, overrides, run=run, demonstration=False)
    print_notes(settings.notes)
    request = BenchmarkRequest(
        config=settings,
        input_model=input_model,
        baseline_model=baseline_model,
        mode=mode,
        output_dir=output_dir,
        precision=precision,
        profile=profile,
        batch_sizes=batch_sizes,
        calibration_images=calibration_images,
        skip_unreadable=skip_unreadable,
        workers=workers,
    )
    with drawn_progress() as progress:
        report = benchmark_models(request, progress=progress)
    print_result(benchmark_text(report))
    return exit_code_of(report)
