"""The process that loads one model, runs it and tells what that took. Reads a line of JSON, writes one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from quantize.measurement.machine.memory import forget_peak, peak_resident_bytes, resident_bytes
from quantize.measurement.timing.clock import monotonic
from quantize.models.session import open_session


def main() -> None:
    """Serve one request of ``measure_resources``."""
    request = json.loads(sys.stdin.readline())
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
    found = {
        "load_ns": opened - start,
        "first_run_ns": first,
        "before_bytes": before,
        "loaded_bytes": loaded,
        "peak_bytes": peak_resident_bytes(),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
