"""A finished measurement: raw nanoseconds with their provenance, from which all statistics are derived."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from quantize.measurement.machine.environment import Conditions, Environment
from quantize.measurement.timing.blocks import Block, Contestant, paired_log_ratios, round_levels
from quantize.measurement.timing.interleave import Stop
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.speedup import Speedup, median_interval, noise_floor, speedup
from quantize.quoting import quoted

# A percentile rests on the runs beyond it: with fewer than ten, a single outlier decides it.
_RUNS_BEYOND = 10


def runs_needed(quantile: float) -> int:
    """Return how many runs support a quantile above the median: 20 for p50, 100 for p90, 1,000 for p99."""
    return math.ceil(_RUNS_BEYOND / (1 - quantile) - 1e-6)


def percentile_ns(runs_ns: Sequence[int], quantile: float) -> int | None:
    """Return a quantile of run times by nearest rank: always a measured time.

    Args:
        runs_ns: Durations in nanoseconds.
        quantile: Between 0.5 and 1, for example 0.99.

    Returns:
        Nanoseconds, or None if the runs do not support it.
    """
    if len(runs_ns) < runs_needed(quantile):
        return None
    return sorted(runs_ns)[math.ceil(quantile * len(runs_ns) - 1e-9) - 1]


class Measurement(BaseModel):
    """What was timed, in which order and where.

    Attributes:
        plan: What to measure, and how.
        contestants: The models that took part.
        environment: Machine, software and settings.
        before: Conditions at its start.
        after: Conditions at its end.
        images: Different images that rotated.
        blocks: Raw times, in chronological order.
        stopped: Why it ended.
        seconds: How long it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: Plan
    contestants: tuple[Contestant, ...]
    environment: Environment
    before: Conditions
    after: Conditions
    images: int
    blocks: tuple[Block, ...]
    stopped: Stop
    seconds: float

    @model_validator(mode="after")
    def _of_its_contestants(self) -> Measurement:
        timed, names = {block.contestant for block in self.blocks}, [one.name for one in self.contestants]
        if timed != set(names) or len(names) > len(timed):
            raise ValueError(
                f"contestants {quoted(', '.join(names))}, and blocks of {quoted(', '.join(sorted(timed)))}"
            )
        return self

    def names(self, role: Literal["baseline", "control", "candidate", "alone"]) -> tuple[str, ...]:
        """Return the names of the contestants with a role."""
        return tuple(contestant.name for contestant in self.contestants if contestant.role == role)


class Latency(BaseModel):
    """One model's times over all its runs. A figure that the runs do not support is None.

    Attributes:
        name: The contestant's name.
        runs: Timed runs.
        batch_size: Images per run.
        quiet_ns: Median over the rounds of the time without runs that another process interrupted: what speed-ups
            compare. On a quiet machine it is the median of all runs.
        quiet_low_ns: Lower bound of its interval, by rounds.
        quiet_high_ns: Upper bound.
        p50_ns: Median of all runs.
        p90_ns: 90th percentile.
        p99_ns: 99th percentile.
        minimum_ns: Shortest run.
        maximum_ns: Longest run.
        spread: Standard deviation of the blocks' medians over their mean, a fraction; None with fewer than two.
        images_per_second: ``batch_size`` over the mean time of a run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    runs: int
    batch_size: int
    quiet_ns: float
    quiet_low_ns: float | None
    quiet_high_ns: float | None
    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    minimum_ns: int
    maximum_ns: int
    spread: float | None
    images_per_second: float


def latency(measurement: Measurement, name: str) -> Latency:
    """Return one contestant's latency figures.

    Raises:
        KeyError: No block of ``name``.
    """
    return latency_of(name, measurement.blocks, measurement.plan)


def latency_of(name: str, blocks: Sequence[Block], plan: Plan) -> Latency:
    """Return one contestant's latency figures from blocks of any contestants.

    Raises:
        KeyError: No block of ``name``.
    """
    own = [block for block in blocks if block.contestant == name]
    if not own:
        raise KeyError(name)
    runs = [run for block in own for run in block.runs_ns]
    medians = np.array([block.median_ns for block in own])
    levels = np.array(list(round_levels(own, name).values()))
    interval = median_interval(levels, confidence=plan.confidence, seed=plan.seed)
    return Latency(
        name=name,
        runs=len(runs),
        batch_size=plan.batch_size,
        quiet_ns=float(np.exp(np.median(levels))),
        quiet_low_ns=None if interval is None else float(np.exp(interval[0])),
        quiet_high_ns=None if interval is None else float(np.exp(interval[1])),
        p50_ns=percentile_ns(runs, 0.5),
        p90_ns=percentile_ns(runs, 0.9),
        p99_ns=percentile_ns(runs, 0.99),
        minimum_ns=min(runs),
        maximum_ns=max(runs),
        spread=float(medians.std(ddof=1) / medians.mean()) if len(medians) > 1 else None,
        images_per_second=plan.batch_size * 1e9 * len(runs) / sum(runs),
    )


def speedups(measurement: Measurement) -> tuple[Speedup, ...]:
    """Return each candidate's speed-up over the baseline, in the plan's order; empty without a baseline."""
    return tuple(measured for name in measurement.names("candidate") if (measured := _over_baseline(measurement, name)))


def control_speedup(measurement: Measurement) -> Speedup | None:
    """Return the A/A control: the baseline's speed-up over itself; None if there was no control."""
    names = measurement.names("control")
    return _over_baseline(measurement, names[0]) if names else None


def measured_noise_floor(measurement: Measurement) -> float | None:
    """Return the smallest relative difference that this measurement can tell from none; None without a control."""
    return noise_floor(control_speedup(measurement))


def _over_baseline(measurement: Measurement, name: str) -> Speedup | None:
    baselines, plan = measurement.names("baseline"), measurement.plan
    if not baselines:
        return None
    return speedup(
        paired_log_ratios(measurement.blocks, baselines[0], name),
        baseline=baselines[0],
        candidate=name,
        confidence=plan.confidence,
        seed=plan.seed,
    )
