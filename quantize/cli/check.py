"""``quantize check`` and ``quantize baseline``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from quantize.cli import opening
from quantize.cli.command_line import Commands
from quantize.cli.options import Argument, Option
from quantize.cli.terminal import print_command, print_result
from quantize.errors import ExitCode
from quantize.quoting import quoted, sentence

if TYPE_CHECKING:
    from quantize.config.values import Names, Place, Seconds, Size


def check(
    run: Annotated[Place, Argument("The run's folder, or its report.json.", "RUN")],
    baseline: Annotated[
        Place | Literal["none"] | None,
        Option("File of `quantize baseline accept`; none: limits against fp32 only.", "FILE"),
    ] = None,
    tolerances: Annotated[
        Place | None, Option("Tolerances in YAML. (default: configs/tolerances.yaml)", "FILE")
    ] = None,
    junit: Annotated[Place | None, Option("Write JUnit XML for CI.", "FILE")] = None,
    require: Annotated[
        Names | None,
        Option(
            "Figures that must be compared: `not comparable` and `not in the baseline` fail.",
            "FIGURE,FIGURE",
        ),
    ] = None,
    on_inconclusive: Annotated[
        Literal["pass", "fail"] | None, Option("What inconclusive lines count as. (default: exit code 3)")
    ] = None,
    max_memory: Annotated[Size | None, Option(opening.MEMORY)] = None,
    opening_seconds: Annotated[Seconds | None, Option(opening.TIME)] = None,
) -> ExitCode:
    """Compare a run with an accepted baseline, one line per tolerance; write check.md beside the report.

    Exit codes: 0 all passed, 1 one failed or missing, 2 something to fix, 3 inconclusive.
    """
    from quantize.commands.check import check_run
    from quantize.gate.drawings import append_summary, check_text, workflow_commands

    result = check_run(
        run,
        None if baseline == "none" else baseline,
        tolerances,
        junit,
        on_inconclusive,
        require=require or (),
        limits_only=baseline == "none",
        bounds=opening.bounds(max_memory, opening_seconds),
    )
    print_result(check_text(result))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for command in workflow_commands(result):
            print_command(command)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        append_summary(result, Path(summary))
    return result.exit_code


def accept(
    run: Annotated[Place, Argument("The run's folder, or its report.json.", "RUN")],
    output: Annotated[Place, Option("The baseline, to be put under version control.", "FILE", default="baseline.json")],
) -> ExitCode:
    """Accept a run: write a small baseline file to review, which `quantize check` compares later runs with."""
    from quantize.commands.check import accept_run

    accepted = accept_run(run, output)
    origin = f"{accepted.images:,} images, of {quoted(accepted.created)}"
    print_result(f"{quoted(output)}: recipe {quoted(accepted.recipe_id)}, {origin}")
    if accepted.verdict is not None and accepted.verdict.warning is not None:
        print_result(sentence(accepted.verdict.warning))
    return ExitCode.DONE


class _Baseline(Commands):
    functions = {"accept": accept}  # noqa: RUF012 - read only


baseline = _Baseline(name="baseline", help="Accept a run as the baseline of later ones.")
