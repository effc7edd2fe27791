"""Layers that are stored in int8 and computed in fp32, and what opening such a file takes."""

from __future__ import annotations

from quantize.measurement.machine.resources import Resources
from quantize.report.schema import RunReport
from quantize.report.wording import megabytes, milliseconds

STORED = "stored in int8, computed in fp32"


def stored_sentence(report: RunReport) -> str | None:
    """Return how many layers of a run's files are so, and what opening the files takes; None where none is."""
    count, layers = len(report.chosen.recipe.stored_nodes), report.chosen.layers
    if not count:
        return None
    text = f"{count:,}{f' of {layers:,}' if layers else ''} layers are {STORED}."
    loads = {one.name: one for one in report.resources}
    fp32, int8 = loads.get("fp32"), loads.get("int8")
    if fp32 is None or int8 is None:
        return text
    return f"{text} Opening the QLinear file takes {opening(int8)}; fp32 takes {opening(fp32)}."


def opening(found: Resources) -> str:
    """Return the time to open a session and the memory that the model adds, in words."""
    memory = "" if found.model_bytes is None else f" and {megabytes(round(found.model_bytes))}"
    return f"{milliseconds(found.load_ns, 1)}{memory}"
