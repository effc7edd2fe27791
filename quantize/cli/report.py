"""``quantize report``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.terminal import print_result
from quantize.config.values import Place
from quantize.errors import ExitCode


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Folders of runs, or their report.json.")],
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="The trend of several runs. (default: trend.html beside them)"),
    ] = None,
) -> Callable[[], ExitCode]:
    """Draw report.md and report.html of a run again; of several runs, draw the trend too."""
    places: list[Path] = [flag_value("RUN", run, Place) for run in runs]
    destination: Path | None = flag_value("--output", output, Place)

    def begin() -> ExitCode:
        from quantize.commands.report import draw_reports
        from quantize.report.text import drawn as table_text
        from quantize.report.text import summary
        from quantize.report.trend import trend_table

        found = draw_reports(places, destination)
        print_result(summary(found.reports[0]) if found.trend is None else table_text(trend_table(found.trend)))
        print_result("\n".join(["", "drawn", *(f"  {file}" for file in found.files)]))
        return ExitCode.DONE

    return begin
