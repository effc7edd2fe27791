"""``quantize tune``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from quantize.cli.options import FILES, RUN, Option, takes_settings
from quantize.cli.terminal import print_notes, print_result
from quantize.errors import ExitCode
from quantize.quoting import quoted

if TYPE_CHECKING:
    from quantize.config.values import Count, Place


@takes_settings()
def tune(
    *,
    overrides: Mapping[str, object],
    input_model: Annotated[Place | None, Option("The fp32 model. Without it: a demonstration.", "FILE", FILES)] = None,
    config: Annotated[Place | None, Option("Settings in YAML; flags win over them.", "FILE", FILES)] = None,
    output_model: Annotated[
        Place | None,
        Option("A folder, or a .onnx file. (default: a folder of the model's name under runs)", "PLACE", FILES),
    ] = None,
    overwrite: Annotated[bool, Option("Replace an earlier run in the same place.", panel=FILES)] = False,
    resume: Annotated[Place | None, Option("Continue a run that was interrupted.", "RUN", RUN)] = None,
    replay: Annotated[Place | None, Option("Build the model of a report.json again.", "REPORT", RUN)] = None,
    latency_table: Annotated[
        Place | None, Option("Latencies recorded by an earlier run, in place of measuring.", "FILE", RUN)
    ] = None,
    criterion: Annotated[
        Literal["accuracy", "none"],
        Option("none: no baseline check and no verdict, for graphs whose scores mean nothing.", panel=RUN),
    ] = "accuracy",
    skip_unreadable: Annotated[bool, Option("Leave unreadable images out, and list them.", panel=RUN)] = False,
    remove_crops: Annotated[
        bool,
        Option("Remove the decoded images at the end; a later run in the same place decodes them again.", panel=RUN),
    ] = False,
    workers: Annotated[Count | None, Option("Processes that decode images. (default: one per core)", panel=RUN)] = None,
) -> ExitCode:
    """Quantize a model under criteria of accuracy and speed, and write int8 and QDQ models and a report.

    Flags take their value as --key=value or --key value, with underscores or dashes. Each setting of the
    configuration file has a flag of the same last name. Without --input_model and --data_path: a demonstration on
    20 photographs.

    Exit codes: 0 criteria met, 1 not met, 2 something to fix, 3 inconclusive, 70 a bug, 130 interrupted.
    """
    from quantize.cli.configuration import configuration
    from quantize.cli.progress import drawn_progress
    from quantize.commands.idle_flags import given_flags, refuse_idle_for_tune
    from quantize.report.text import summary
    from quantize.run.request import TuneRequest
    from quantize.run.tune import tune as tune_model

    settings = configuration(config, overrides, run=resume or replay, demonstration=input_model is None)
    given = given_flags(
        overrides,
        output_model=output_model,
        overwrite=overwrite,
        latency_table=latency_table,
        criterion=criterion != "accuracy",
        skip_unreadable=skip_unreadable,
    )
    refuse_idle_for_tune(
        given, settings, resumes=resume is not None, replays=replay is not None, judges=criterion == "accuracy"
    )
    print_notes(settings.notes)
    request = TuneRequest(
        config=settings,
        input_model=input_model,
        output_model=output_model,
        overwrite=overwrite,
        resume=resume,
        replay=replay,
        latency_table=latency_table,
        skip_unreadable=skip_unreadable,
        remove_crops=remove_crops,
        criterion=criterion,
        workers=workers,
        command=tuple(sys.argv),
    )
    with drawn_progress() as progress:
        result = tune_model(request, progress=progress)
    where = quoted(result.run)
    print_result(f"{summary(result.report)}\n\nResults: {where} (open {quoted(result.run / 'report.html')})")
    return result.exit_code
