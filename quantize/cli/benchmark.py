"""``quantize benchmark``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from quantize.cli.configuration import configuration
from quantize.cli.flag_values import flag_value
from quantize.cli.progress import drawn_progress
from quantize.cli.setting_flags import FILES, RUN, settings_below, with_settings
from quantize.cli.terminal import print_notes, print_result
from quantize.config.values import Count, Counts, Fraction, Place
from quantize.errors import ExitCode
from quantize.run.folder import newest_run

_SETTINGS = settings_below(
    "model.framework",
    "data",
    "preprocessing",
    "quantization.calibration",
    "quantization.target",
    "tuning.accuracy_criterion",
    "tuning.random_seed",
    "evaluation",
)
_Mode = Literal["accuracy", "performance", "both"]


@with_settings(_SETTINGS)
def benchmark(
    *,
    overrides: dict[str, object],
    input_model: Annotated[
        str | None,
        typer.Option(
            "--input_model",
            metavar="FILE",
            rich_help_panel=FILES,
            help="The model to measure. Without it: both models of the newest run under runs.",
        ),
    ] = None,
    baseline_model: Annotated[
        str | None,
        typer.Option(
            "--baseline_model",
            metavar="FILE",
            rich_help_panel=FILES,
            help="The fp32 model to compare with, in the same process, in turns.",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", rich_help_panel=FILES, help="Settings in YAML; flags win over them."),
    ] = None,
    output_dir: Annotated[
        str | None, typer.Option("--output_dir", metavar="DIR", rich_help_panel=FILES, help="Where reports go.")
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode", metavar="NAME", rich_help_panel=RUN, help="What to measure: accuracy, performance or both."
        ),
    ] = "both",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="FRACTION",
            rich_help_panel=RUN,
            help="Stop when the speed-up's interval is narrower than this.",
        ),
    ] = "2%",
    batch_sizes: Annotated[
        str | None,
        typer.Option(
            "--batch_sizes", metavar="N,N", rich_help_panel=RUN, help="Measure throughput at these batch sizes too."
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", metavar=" ", rich_help_panel=RUN, help="Show the time of every operator.")
    ] = False,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip_unreadable", metavar=" ", rich_help_panel=RUN, help="Leave unreadable images out, and list them."
        ),
    ] = False,
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
    """Measure accuracy and speed of a model, or of the newest run, against its fp32 baseline.

    Exit codes: 0 done and met, 1 criterion not met, 2 something to fix, 3 inconclusive, 70 a bug, 130 interrupted.
    """
    model: Path | None = flag_value("--input_model", input_model, Place)
    baseline: Path | None = flag_value("--baseline_model", baseline_model, Place)
    reports: Path | None = flag_value("--output_dir", output_dir, Place)
    measured: _Mode = flag_value("--mode", mode, _Mode)
    width: float = flag_value("--precision", precision, Fraction)
    sizes: tuple[int, ...] | None = flag_value("--batch_sizes", batch_sizes, Counts)
    processes: int | None = flag_value("--workers", workers, Count)
    file: Path | None = flag_value("--config", config, Place)
    # A run without a model named is judged by its own criterion, on its own cores.
    run = newest_run(Path("runs")) if model is None and file is None else None
    run_config = configuration(file, overrides, run=run, demonstration=False)

    def begin() -> ExitCode:
        from quantize.commands.benchmark import benchmark as benchmark_models
        from quantize.commands.benchmark_request import BenchmarkRequest

        print_notes(run_config.notes)
        request = BenchmarkRequest(
            config=run_config,
            input_model=model,
            baseline_model=baseline,
            mode=measured,
            output_dir=reports,
            precision=width,
            profile=profile,
            batch_sizes=sizes,
            skip_unreadable=skip_unreadable,
            workers=processes,
        )
        with drawn_progress() as progress:
            result = benchmark_models(request, progress=progress)
        print_result(result.text)
        return result.exit_code

    return begin
