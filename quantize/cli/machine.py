"""``quantize machine``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.terminal import print_result
from quantize.config.values import Count, Place
from quantize.errors import ExitCode


def machine(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="An fp32 model: what int8 is expected to gain in it.")
    ] = None,
    cores_per_instance: Annotated[
        str | None,
        typer.Option(
            "--cores_per_instance",
            metavar="NUMBER",
            help="Threads that are measured beside one. (default: one a core)",
        ),
    ] = None,
    measure_again: Annotated[
        bool,
        typer.Option("--measure_again", metavar=" ", help="Measure this CPU whether that was done before or not."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", metavar=" ", help="Print JSON.")] = False,
) -> Callable[[], ExitCode]:
    """Show what this CPU's int8 and fp32 kernels do and reach, and what int8 is expected to gain.

    Measured once, in some seconds, and kept for this CPU, onnxruntime and number of threads.
    """
    path: Path | None = flag_value("MODEL", model, Place)
    threads: int | None = flag_value("--cores_per_instance", cores_per_instance, Count)

    def begin() -> ExitCode:
        from quantize.commands.machine import examine_machine, machine_report_text

        found = examine_machine(path, threads, again=measure_again)
        print_result(found.report.model_dump_json(indent=1) if json else machine_report_text(found))
        return ExitCode.DONE

    return begin
