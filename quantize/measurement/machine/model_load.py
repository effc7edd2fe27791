"""Measure loading and running a model, in a child process that imports little else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from quantize.measurement.timing.clock import monotonic
from quantize.models.session import open_session
from quantize.processes.memory import forget_peak, peak_resident_bytes, resident_bytes


def load_and_run(request: dict[str, Any]) -> dict[str, int | None]:
    """Load a model in this process and run it, and return what that took: the fields of a ``Load``.

    Args:
        request: ``model`` and ``image`` (paths), ``runs``, and ``threads``, ``spinning`` and ``optimization`` of the
            session.
    """
    image = np.load(request["image"])
    forget_peak()
    before = resident_bytes()
    start = monotonic()
    session = open_session(
        Path(request["model"]),
        threads=request["threads"],
        spinning=request["spinning"],
        optimization=request["optimization"],
    )
    opened = monotonic()
    loaded = resident_bytes()
    feed = {session.get_inputs()[0].name: image}
    begun = monotonic()
    session.run(None, feed)
    first = monotonic() - begun
    for _ in range(request["runs"] - 1):
        session.run(None, feed)
    return {
        "load_ns": opened - start,
        "first_run_ns": first,
        "before_bytes": before,
        "loaded_bytes": loaded,
        "peak_bytes": peak_resident_bytes(),
    }
