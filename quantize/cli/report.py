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
        Place | None, Option("The comparison of several runs. (default: comparison.html beside the last)", "FILE")
    ] = None,
    no_pictures: Annotated[bool, Option("Leave flipped images out: they may be private.")] = False,
) -> ExitCode:
    """Regenerate report.md and report.html of a run; of several runs, compare them in a page of its own."""
    from quantize.commands.idle_flags import given_flags, refuse_idle
    from quantize.commands.report import draw_reports
    from quantize.report.lines import drawn as table_text
    from quantize.report.text import summary

    if len(runs) == 1:
        why = "one run's report is drawn into its own folder"
        refuse_idle(given_flags({}, output=output), ["output"], why, "name the run to compare with")
    else:
        hidden = given_flags({}, no_pictures=no_pictures)
        refuse_idle(hidden, ["no_pictures"], "a comparison shows no pictures", "draw the report of one run")
    drawn = draw_reports(runs, output, pictures=not no_pictures)
    if drawn.comparison is None:
        print_result(summary(drawn.reports[0]))
    else:
        tables = (drawn.comparison.sides, *drawn.comparison.changes)
        print_result("\n\n".join([*drawn.comparison.notes, *(table_text(table) for table in tables)]))
    print_result("\n".join(["", "written", *(f"  {quoted(file)}" for file in drawn.files)]))
    return ExitCode.DONE


def schema(
    kind: Annotated[
        Literal["report", "benchmark", "baseline", "check", "machine", "sweep", "sweep-settings"] | None,
        Argument("report, benchmark, baseline, check, machine, sweep or sweep-settings. (default: report)", "KIND"),
    ] = None,
) -> ExitCode:
    """Print the JSON Schema of a report, benchmark, baseline, check, machine or sweep, or of a sweep's settings."""
    from pydantic import BaseModel

    from quantize.commands.machine import MachineReport
    from quantize.gate.baseline import Baseline
    from quantize.gate.result import GateResult
    from quantize.report.storage import SCHEMAS, json_schema
    from quantize.sweep.config import SweepConfig
    from quantize.sweep.report import SweepReport

    if kind == "sweep-settings":
        print_json(json_schema(SweepConfig, mode="validation"))
        return ExitCode.DONE
    others: dict[str, type[BaseModel]] = {
        "baseline": Baseline,
        "check": GateResult,
        "machine": MachineReport,
        "sweep": SweepReport,
    }
    print_json(json_schema({**SCHEMAS, **others}[kind or "report"]))
    return ExitCode.DONE
