"""Measure a pair twice, the second time with another core kept busy: do the intervals of the speed-up overlap?

    python benchmarks/repeat.py FP32.onnx INT8.onnx [--iteration 1000] [--max_seconds 60] [--threads 1] [--memory]

Exit code 1 where they do not.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from images import prepared

from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import speedups
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.summary import summary

_SPIN = "while True:\n    pass"
# Walks through more memory than the caches hold: takes bandwidth and shared cache too, and so really changes times.
_STREAM = "import numpy as np\na = np.ones(8_000_000)\nwhile True:\n    a *= 1.0000001"


@contextmanager
def busy_core(program: str) -> Iterator[None]:
    """Keep one core busy with a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Run both measurements and print their summaries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fp32", type=Path)
    parser.add_argument("int8", type=Path)
    parser.add_argument("--iteration", type=int, default=1000)
    parser.add_argument("--max_seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="the busy core streams through memory")
    given = parser.parse_args()
    inputs = {"fp32": prepared(given.fp32), "int8": prepared(given.int8)}
    plan = Plan(
        models={"fp32": given.fp32, "int8": given.int8},
        baseline="fp32",
        threads=given.threads,
        iteration=given.iteration,
        max_seconds=given.max_seconds,
    )
    quiet = measure(plan, inputs)
    print(f"--- as the machine is\n{summary(quiet)}\n", flush=True)
    with busy_core(_STREAM if given.memory else _SPIN):
        busy = measure(plan.model_copy(update={"seed": 1}), inputs)
    print(f"--- with one core busy\n{summary(busy)}\n")
    (idle_gain,), (busy_gain,) = speedups(quiet), speedups(busy)
    if idle_gain.low is None or idle_gain.high is None or busy_gain.low is None or busy_gain.high is None:
        print("too few rounds for an interval: raise --max_seconds")
        return 1
    overlap = idle_gain.low <= busy_gain.high and busy_gain.low <= idle_gain.high
    print(
        f"{idle_gain.low:.3f} to {idle_gain.high:.3f} and {busy_gain.low:.3f} to {busy_gain.high:.3f}: "
        f"the intervals {'overlap' if overlap else 'do not overlap'}"
    )
    return 0 if overlap else 1


if __name__ == "__main__":
    sys.exit(main())
