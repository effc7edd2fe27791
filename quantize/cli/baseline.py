"""``quantize baseline``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.terminal import print_result
from quantize.config.values import Place
from quantize.errors import ExitCode

baseline = typer.Typer(name="baseline", help="Accept a run as what later runs are held against.", add_completion=False)


@baseline.callback()
def _baseline() -> None:
    """Accept a run as what later runs are held against."""


@baseline.command()
def accept(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's folder, or its report.json.")],
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="The baseline, to be put under version control.")
    ] = "baseline.json",
) -> Callable[[], ExitCode]:
    """Write a run as a small file that is reviewed, and that `quantize check` holds later runs against."""
    place, destination = flag_value("RUN", run, Place), flag_value("--output", output, Place)

    def begin() -> ExitCode:
        from quantize.commands.baseline import accept_run

        accepted = accept_run(place, destination)
        print_result(f"{destination}: recipe {accepted.recipe_id}, {accepted.images:,} images, of {accepted.created}")
        if accepted.verdict is not None and accepted.verdict.warning is not None:
            print_result(accepted.verdict.warning)
        return ExitCode.DONE

    return begin
