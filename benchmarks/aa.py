"""Time a model against itself many times over: how often does the interval of the speed-up hold 1?

    python benchmarks/aa.py MODEL.onnx [--runs 40] [--iteration 500] [--max_seconds 20] [--threads 1]

At a confidence of 95 %, 38 of 40 are expected, and at least 35 are wanted. Exit code 1 where fewer hold it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from images import prepared

from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import speedups
from quantize.measurement.timing.plan import Plan

_WANTED = 35 / 40


def main() -> int:
    """Run the measurements and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--iteration", type=int, default=500)
    parser.add_argument("--max_seconds", type=float, default=20)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    images = prepared(given.model)
    holding = 0
    for run in range(given.runs):
        plan = Plan(
            models={"first": given.model, "second": given.model},
            baseline="first",
            control=False,
            threads=given.threads,
            iteration=given.iteration,
            max_seconds=given.max_seconds,
            seed=run,
        )
        measurement = measure(plan, {"first": images, "second": images})
        (gain,) = speedups(measurement)
        if gain.low is None or gain.high is None:
            print(f"{run + 1:>3}: too few rounds for an interval")
            continue
        holds = gain.low <= 1 <= gain.high
        holding += holds
        print(
            f"{run + 1:>3}: {gain.ratio:.4f} ({gain.low:.4f} to {gain.high:.4f}), {gain.rounds} rounds, "
            f"{measurement.seconds:.0f} s, {measurement.stopped}{'' if holds else '  <- does not hold 1'}",
            flush=True,
        )
    print(f"{holding} of {given.runs} intervals hold 1; at least {_WANTED:.1%} are wanted")
    return 0 if holding >= _WANTED * given.runs else 1


if __name__ == "__main__":
    sys.exit(main())
