"""The process that runs are forked from: everything imported, and what takes long left out unless asked for."""

from __future__ import annotations

import importlib
import os
import pkgutil
from contextlib import suppress
from typing import Any

from faults.gains import MEASURING, fix_gains
from faults.workload import CHARTS, MEMORY

_WITHOUT = ("quantize.engines.inc.worker", "quantize.pytest_plugin", "quantize.__main__")


def import_everything() -> None:
    """Import the package before anything is forked."""
    import quantize

    for module in pkgutil.walk_packages(quantize.__path__, "quantize."):
        if module.name not in _WITHOUT:
            with suppress(ModuleNotFoundError):  # of an extra that is not installed
                importlib.import_module(module.name)


def leave_out_what_takes_long() -> None:
    """Measure memory and draw charts only where a variable asks for it, and no rewrite's gain.

    Nothing that a run decides then rests on time, but for the search of ``native``, which gets recorded latencies. All
    that opens, writes, syncs or renames is done as ever; memory is measured in child processes, which write.
    """
    from quantize.measurement.machine.loads import Resources
    from quantize.measurement.machine.resources import measure_resources
    from quantize.report.canvas import Drawing
    from quantize.run import measuring

    def memory(*given: Any, **named: Any) -> tuple[Resources, ...]:
        return measure_resources(*given, **{**named, "repeats": 1}) if os.environ.get(MEMORY) else ()

    drawn = Drawing.finish

    def finish(drawing: Drawing, title: str) -> None:
        if os.environ.get(CHARTS):
            drawn(drawing, title)
        else:
            drawing.svg = "<svg></svg>"

    vars(measuring)["measure_resources"] = memory
    fix_gains(importlib.import_module(MEASURING))
    setattr(Drawing, "finish", finish)  # noqa: B010 - mypy takes no assignment to a method
