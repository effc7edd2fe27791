"""Measurements of several simultaneous instances, and their combined throughput."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine.environment import Conditions, Environment
from quantize.measurement.timing.blocks import Block, Contestant
from quantize.measurement.timing.measurement import Latency, latency_of
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.speedup import Speedup, speedup


class Placement(BaseModel):
    """Where one instance runs.

    Attributes:
        cores: Its logical cores, shared with no other instance.
        node: The NUMA node that holds them all; None if they are on several, or unknown.
        shares_core: Whether another instance runs on the other hyper-thread of one of its physical cores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cores: tuple[int, ...]
    node: int | None
    shares_core: bool = False


class Instance(BaseModel):
    """One of the processes.

    Attributes:
        index: From 0.
        placement: The cores it was given.
        affinity: The cores it ran on, as reported by the system; None if the system cannot pin.
        peak_bytes: Its largest resident set size; None if unknown.
        blocks: Its runs; those that began within one phase form one block.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    placement: Placement
    affinity: tuple[int, ...] | None
    peak_bytes: int | None
    blocks: tuple[Block, ...]


class InstanceMeasurement(BaseModel):
    """A measurement of several instances that ran at the same time.

    Attributes:
        plan: What to measure, and how; ``threads`` is the cores of one instance.
        contestants: The models that took part.
        environment: Machine, software and settings.
        before: Conditions at its start.
        after: Conditions at its end.
        phase_seconds: How long all instances ran one contestant at a time.
        instances: One entry per process.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: Plan
    contestants: tuple[Contestant, ...]
    environment: Environment
    before: Conditions
    after: Conditions
    phase_seconds: float
    instances: tuple[Instance, ...]


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
    compared = (
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
    return tuple(each for each in compared if each is not None)


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
