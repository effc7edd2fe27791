"""``quantize schema``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.terminal import print_result
from quantize.errors import ExitCode


def schema(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help="report, benchmark, baseline, check or machine. (default: report)"),
    ] = None,
) -> Callable[[], ExitCode]:
    """Print the JSON Schema of a report, benchmark, baseline, check or machine."""
    asked: str = flag_value("KIND", kind, Literal["report", "benchmark", "baseline", "check", "machine"]) or "report"

    def begin() -> ExitCode:
        from pydantic import BaseModel

        from quantize.commands.machine import MachineReport
        from quantize.gate.baseline import Baseline
        from quantize.gate.result import GateResult
        from quantize.report.json_schemas import SCHEMAS, json_schema

        models: dict[str, type[BaseModel]] = {
            **SCHEMAS,
            "baseline": Baseline,
            "check": GateResult,
            "machine": MachineReport,
        }
        print_result(json_schema(models[asked]))
        return ExitCode.DONE

    return begin
