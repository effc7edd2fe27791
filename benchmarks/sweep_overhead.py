"""What a sweep adds to the work of its workers: parts that only sleep, on 1, 2 and 4 worker processes.

    python benchmarks/sweep_overhead.py [--tasks 1000] [--milliseconds 100] [--workers 1,2,4]

The parts go the way of a shared evaluation (``quantize.sweep.parts``). Overhead is wall time over
(tasks x milliseconds / workers), minus 1; starting the workers is not counted.
"""

from __future__ import annotations

import argparse
import time

from distributed import Client

from quantize.sweep.cluster import local_cluster, quietly
from quantize.sweep.config import SweepConfig
from quantize.sweep.marking import marked
from quantize.sweep.marks import evaluation_resource
from quantize.sweep.parts import in_parts


def nap(seconds: float) -> float:
    """Sleep, and return how long that really took: a busy machine's own delay is not the sweep's."""
    start = time.perf_counter()
    time.sleep(seconds)
    return time.perf_counter() - start


def measure(workers: int, tasks: int, seconds: float) -> tuple[float, float]:
    """Return the wall time of all tasks, and the sum of what they slept, in seconds."""
    config = SweepConfig.model_validate({"models": ["none.onnx"], "workers": workers + 1})
    with (
        quietly(),
        local_cluster(workers + 1) as cluster,
        Client(cluster, set_as_default=False) as client,
        marked(client, config, ()),
    ):
        resource = evaluation_resource()
        in_parts(client, nap, [0.0] * 4 * workers, resource, 60)  # every worker has loaded what it needs
        start = time.perf_counter()
        slept = in_parts(client, nap, [seconds] * tasks, resource, 60)
        wall = time.perf_counter() - start
    assert slept is not None
    return wall, sum(slept)


def main() -> None:
    """Measure and print a line for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--milliseconds", type=float, default=100)
    parser.add_argument("--workers", default="1,2,4")
    arguments = parser.parse_args()
    seconds = arguments.milliseconds / 1000
    for workers in map(int, arguments.workers.split(",")):
        wall, slept = measure(workers, arguments.tasks, seconds)
        ideal = arguments.tasks * seconds / workers
        print(
            f"{workers} workers: {wall:.2f} s for {ideal:.2f} s of sleep each: overhead {wall / ideal - 1:+.2%} "
            f"(of what the tasks really slept, {slept / workers:.2f} s: {wall / (slept / workers) - 1:+.2%})",
            flush=True,
        )


if __name__ == "__main__":
    main()
