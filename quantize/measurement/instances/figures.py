"""What several instances reach together and each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from quantize.measurement.instances.instances import InstanceMeasurement
from quantize.measurement.timing.doubts import Doubt, machine_doubts
from quantize.measurement.timing.measurement import Latency, latency_of
from quantize.measurement.timing.speedup import Speedup, speedup


def instance_latency(measurement: InstanceMeasurement, index: int, name: str) -> Latency:
    """Return one instance's latency of one contestant.

    Raises:
        KeyError: There is no such contestant.
    """
    return latency_of(name, measurement.instances[index].blocks, measurement.plan)


def images_per_second(measurement: InstanceMeasurement, name: str) -> float:
    """Return the throughput of all instances together: the sum of what each reached.

    Raises:
        KeyError: There is no such contestant.
    """
    instances = range(len(measurement.instances))
    return sum(instance_latency(measurement, index, name).images_per_second for index in instances)


def throughput_speedups(measurement: InstanceMeasurement) -> tuple[Speedup, ...]:
    """Return how many times more images a second each candidate, and the A/A control, reaches than the baseline.

    Paired by round, as latencies are: the logarithm of a round's throughput is the mean of its two phases'.
    """
    plan = measurement.plan
    if plan.baseline is None:
        return ()
    levels = {contestant.name: _round_rates(measurement, contestant.name) for contestant in measurement.contestants}
    found = (
        speedup(
            levels[contestant.name] - levels[plan.baseline],
            baseline=plan.baseline,
            candidate=contestant.name,
            confidence=plan.confidence,
            seed=plan.seed,
        )
        for contestant in measurement.contestants
        if contestant.name != plan.baseline
    )
    return tuple(one for one in found if one is not None)


def instance_doubts(measurement: InstanceMeasurement) -> Iterator[Doubt]:
    """Yield what makes the figures of several instances doubtful."""
    yield from machine_doubts(measurement.environment, asked_threads=measurement.plan.asked_threads)
    if any(instance.affinity is None for instance in measurement.instances):
        yield Doubt(
            name="not pinned",
            text="this system cannot bind a process to cores: instances may take each other's",
            advice="measure instances on Linux or Windows",
        )
    if any(instance.placement.shares_core for instance in measurement.instances):
        yield Doubt(
            name="shared cores",
            text="instances share physical cores, one on each hyper-thread",
            advice="ask for no more cores in all than there are physical ones",
        )
    several_nodes = (measurement.environment.numa_nodes or 1) > 1
    if several_nodes and any(instance.placement.node is None for instance in measurement.instances):
        yield Doubt(
            name="several nodes",
            text="an instance's cores lie on several NUMA nodes",
            advice="ask for fewer cores an instance than a node has",
        )


def _phase_rates(measurement: InstanceMeasurement, name: str) -> dict[tuple[int, int], float]:
    """Return the images a second of all instances together, by round and position."""
    rates: dict[tuple[int, int], float] = defaultdict(float)
    for instance in measurement.instances:
        for block in instance.blocks:
            if block.contestant == name:
                images = measurement.plan.batch_size * len(block.runs_ns)
                rates[block.round, block.position] += images * 1e9 / sum(block.runs_ns)
    return dict(rates)


def _round_rates(measurement: InstanceMeasurement, name: str) -> npt.NDArray[np.float64]:
    logs: dict[int, list[float]] = defaultdict(list)
    for (number, _), rate in _phase_rates(measurement, name).items():
        logs[number].append(float(np.log(rate)))
    return np.array([np.mean(logs[number]) for number in sorted(logs)], dtype=np.float64)
