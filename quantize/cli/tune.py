"""``quantize tune``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from quantize.cli.configuration import configuration
from quantize.cli.flag_values import flag_value
from quantize.cli.progress import drawn_progress
from quantize.cli.setting_flags import FILES, RUN, with_settings
from quantize.cli.terminal import print_notes, print_result
from quantize.config.schema import settings
from quantize.config.values import Count, Place
from quantize.errors import ExitCode


@with_settings(settings())
def tune(
    *,
    overrides: dict[str, object],
    input_model: Annotated[
        str | None,
        typer.Option(
            "--input_model", metavar="FILE", rich_help_panel=FILES, help="The fp32 model. Without it: a demonstration."
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", rich_help_panel=FILES, help="Settings in YAML; flags win over them."),
    ] = None,
    output_model: Annotated[
        str | None,
        typer.Option(
            "--output_model",
            metavar="PLACE",
            rich_help_panel=FILES,
            help="A folder, or a .onnx file. (default: a folder of the model's name under runs)",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", metavar=" ", rich_help_panel=FILES, help="Replace an earlier run in the same place."
        ),
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", rich_help_panel=RUN, help="Continue a run that was interrupted."),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option("--replay", metavar="REPORT", rich_help_panel=RUN, help="Build the model of a report.json again."),
    ] = None,
    latency_table: Annotated[
        str | None,
        typer.Option(
            "--latency_table",
            metavar="FILE",
            rich_help_panel=RUN,
            help="Latencies recorded by an earlier run, in place of measuring.",
        ),
    ] = None,
    criterion: Annotated[
        str,
        typer.Option(
            "--criterion",
            metavar="accuracy|none",
            rich_help_panel=RUN,
            help="none: no baseline check and no verdict, for graphs whose scores mean nothing.",
        ),
    ] = "accuracy",
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip_unreadable", metavar=" ", rich_help_panel=RUN, help="Leave unreadable images out, and list them."
        ),
    ] = False,
    remove_crops: Annotated[
        bool,
        typer.Option(
            "--remove_crops",
            metavar=" ",
            rich_help_panel=RUN,
            help="Remove the decoded images at the end; a later run in the same place decodes them again.",
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
    """Quantize a model under criteria of accuracy and speed, and write int8 and QDQ models and a report.

    Flags take their value as --key=value or --key value, with underscores or dashes. Each setting of the
    configuration file has a flag of the same last name. Without --input_model and --data_path: a demonstration on
    20 photographs.

    Exit codes: 0 criteria met, 1 not met, 2 something to fix, 3 inconclusive, 70 a bug, 130 interrupted.
    """
    model: Path | None = flag_value("--input_model", input_model, Place)
    output: Path | None = flag_value("--output_model", output_model, Place)
    resumed: Path | None = flag_value("--resume", resume, Place)
    replayed: Path | None = flag_value("--replay", replay, Place)
    latencies: Path | None = flag_value("--latency_table", latency_table, Place)
    decides: Literal["accuracy", "none"] = flag_value("--criterion", criterion, Literal["accuracy", "none"])
    processes: int | None = flag_value("--workers", workers, Count)
    run_config = configuration(
        flag_value("--config", config, Place), overrides, run=resumed or replayed, demonstration=model is None
    )

    def begin() -> ExitCode:
        from quantize.report.text import summary
        from quantize.run.request import TuneRequest
        from quantize.run.tune import tune as tune_model

        print_notes(run_config.notes)
        request = TuneRequest(
            config=run_config,
            input_model=model,
            output_model=output,
            overwrite=overwrite,
            resume=resumed,
            replay=replayed,
            latency_table=latencies,
            skip_unreadable=skip_unreadable,
            remove_crops=remove_crops,
            criterion=decides,
            workers=processes,
            command=tuple(sys.argv),
        )
        with drawn_progress() as progress:
            result = tune_model(request, progress=progress)
        print_result(f"{summary(result.report)}\n\nall of it in {result.run}")
        return result.exit_code

    return begin
