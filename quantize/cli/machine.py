"""``quantize machine``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from quantize.cli import opening
from quantize.cli.options import Argument, Option
from quantize.cli.terminal import print_json, print_result
from quantize.errors import ExitCode

if TYPE_CHECKING:
    from quantize.config.values import Count, Place, Seconds, Size


def machine(
    model: Annotated[Place | None, Argument("An fp32 model: what int8 is expected to gain in it.", "MODEL")] = None,
    cores_per_instance: Annotated[
        Count | None, Option("Threads to measure with, besides one. (default: one per core)")
    ] = None,
    measure_again: Annotated[bool, Option("Measure this CPU again, even if it was measured before.")] = False,
    json: Annotated[bool, Option("Print JSON.")] = False,
    max_memory: Annotated[Size | None, Option(opening.MEMORY)] = None,
    opening_seconds: Annotated[Seconds | None, Option(opening.TIME)] = None,
) -> ExitCode:
    """Show what this CPU's int8 and fp32 kernels do and reach, and what int8 is expected to gain.

    Measured once, in some seconds, and kept for this CPU, onnxruntime and number of threads.
    """
    from quantize.commands.idle_flags import given_flags, refuse_idle
    from quantize.commands.machine import examine_machine
    from quantize.measurement.machine.text import machine_text

    if model is None:
        bounds = given_flags({}, max_memory=max_memory, opening_seconds=opening_seconds)
        refuse_idle(bounds, sorted(bounds), "no model is opened", "name one")
    report, place = examine_machine(
        model, cores_per_instance, again=measure_again, bounds=opening.bounds(max_memory, opening_seconds)
    )
    text = machine_text(report.machine, place, report.expectation, report.layers)
    print_json(report.model_dump_json(indent=1)) if json else print_result(text)
    return ExitCode.DONE
