"""``quantize check``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.terminal import print_result
from quantize.config.values import Names, Place
from quantize.errors import ExitCode


def check(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's folder, or its report.json.")],
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="FILE",
            help="What `quantize baseline accept` wrote; none: limits against fp32 alone.",
        ),
    ] = None,
    tolerances: Annotated[
        str | None,
        typer.Option("--tolerances", metavar="FILE", help="Tolerances in YAML. (default: configs/tolerances.yaml)"),
    ] = None,
    junit: Annotated[str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML for CI.")] = None,
    require: Annotated[
        str | None,
        typer.Option(
            "--require",
            metavar="FIGURE,FIGURE",
            help="Figures that have to be compared: `not comparable` and `not in the baseline` fail for them.",
        ),
    ] = None,
    on_inconclusive: Annotated[
        str | None,
        typer.Option(
            "--on_inconclusive", metavar="pass|fail", help="Where the images do not settle it. (default: exit code 3)"
        ),
    ] = None,
) -> Callable[[], ExitCode]:
    """Hold a run against an accepted baseline: a line a tolerance, and check.md beside the report.

    Exit codes: 0 all held, 1 one not held or missing, 2 something to fix, 3 inconclusive.
    """
    place = flag_value("RUN", run, Place)
    alone = baseline == "none"
    accepted: Path | None = None if alone else flag_value("--baseline", baseline, Place)
    figures: tuple[str, ...] | None = flag_value("--require", require, Names)
    limits: Path | None = flag_value("--tolerances", tolerances, Place)
    xml: Path | None = flag_value("--junit", junit, Place)
    policy: Literal["pass", "fail"] | None = flag_value("--on_inconclusive", on_inconclusive, Literal["pass", "fail"])

    def begin() -> ExitCode:
        from quantize.commands.check import CheckRequest, check_run
        from quantize.gate.github import append_summary, workflow_commands
        from quantize.gate.text import check_text

        result = check_run(CheckRequest(place, accepted, limits, xml, policy, require=figures or (), limits_only=alone))
        print_result(check_text(result))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for command in workflow_commands(result):
                print_result(command)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            append_summary(result, Path(summary))
        return result.exit_code

    return begin
