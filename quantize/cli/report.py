"""``quantize report`` and ``quantize schema``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from quantize.cli.options import Argument, Option
from quantize.cli.terminal import print_json, print_result
from quantize.errors import ExitCode
from quantize.quoting import quoted

if TYPE_CHECKING:
    from quantize.config.values import Place


def report(
    runs: Annotated[list[Place], Argument("Folders of runs, or their report.json.", "RUN...")],
    output: Annotated[
        Place | None, Option("The trend of several runs. (default: trend.html beside them)", "FILE")
    ] = None,
    pictures: Annotated[bool, Option("Show flipped images; they may be private. (default: true)")] = True,
) -> ExitCode:
    """Draw report.md and report.html of a run again; of several runs, draw the trend too."""
    from quantize.commands.report import draw_reports
    from quantize.report.text import drawn as table_text
    from quantize.report.text import summary
    from quantize.report.trend import trend_table

    drawn = draw_reports(runs, output, pictures=pictures)
    print_result(summary(drawn.reports[0]) if drawn.trend is None else table_text(trend_table(drawn.trend)))
    print_result("\n".join(["", "drawn", *(f"  {quoted(file)}" for file in drawn.files)]))
    return ExitCode.DONE


def schema(
    kind: Annotated[
        Literal["report", "benchmark", "baseline", "check", "machine"] | None,
        Argument("report, benchmark, baseline, check or machine. (default: report)", "KIND"),
    ] = None,
) -> ExitCode:
    """Print the JSON Schema of a report, benchmark, baseline, check or machine."""
    from pydantic import BaseModel

    from quantize.commands.machine import MachineReport
    from quantize.gate.baseline import Baseline
    from quantize.gate.result import GateResult
    from quantize.report.storage import SCHEMAS, json_schema

    others: dict[str, type[BaseModel]] = {"baseline": Baseline, "check": GateResult, "machine": MachineReport}
    print_json(json_schema({**SCHEMAS, **others}[kind or "report"]))
    return ExitCode.DONE
