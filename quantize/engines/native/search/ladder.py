"""The ladder of assignments, from the fastest to the safest: each is the fastest within a bound on sensitivity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from quantize.engines.native.search.assignment import Costs, best_assignment, canonical

_DEPTH = 40


@dataclass(frozen=True)
class Rung:
    """One assignment.

    Attributes:
        float_ops: Ops that stay in fp32, sorted.
        time_ns: Predicted time, in nanoseconds.
        sensitivity: Summed sensitivity, in nats: the bound within which nothing on the ladder is faster.
        uint8_ops: Ops whose weights are uint8 where they are not in fp32, sorted.
    """

    float_ops: tuple[str, ...]
    time_ns: float
    sensitivity: float
    uint8_ops: tuple[str, ...] = ()


def ladder(costs: Costs, most: int = 24) -> tuple[Rung, ...]:
    """Return at most ``most`` rungs, the fastest first; sensitivity falls and time rises from rung to rung.

    The first rung is the fastest assignment whatever its sensitivity: ops that are faster in fp32 are in fp32 there.
    The last one has all ops in fp32. Where the lower convex hull of time against sensitivity has more corners, those
    with the largest steps of sensitivity between them are kept.
    """
    everything = frozenset(op.name for op in costs.graph.ops)
    fastest, safest = _best(costs, 0.0), _rung(costs.with_uint8(costs.uint8_ops(0.0)), everything, ())
    corners = {fastest, safest}
    _add_corners(costs, fastest, safest, corners, _DEPTH)
    rungs = sorted(corners, key=lambda rung: (rung.time_ns, rung.sensitivity, rung.float_ops))
    falling: list[Rung] = []
    for rung in rungs:
        if not falling or rung.sensitivity < falling[-1].sensitivity:
            falling.append(rung)
    while len(falling) > max(most, 2):
        steps = [falling[at - 1].sensitivity - falling[at].sensitivity for at in range(1, len(falling) - 1)]
        del falling[steps.index(min(steps)) + 1]
    return tuple(falling)


def _best(costs: Costs, price: float) -> Rung:
    """Return the rung that costs least at a price."""
    uint8 = costs.uint8_ops(price)
    decided = costs.with_uint8(uint8)
    return _rung(decided, canonical(decided, best_assignment(decided, price)), tuple(sorted(uint8)))


def _rung(costs: Costs, float_ops: frozenset[str], uint8_ops: tuple[str, ...]) -> Rung:
    return Rung(tuple(sorted(float_ops)), costs.time_ns(float_ops), costs.sensitivity(float_ops), uint8_ops)


def _add_corners(costs: Costs, faster: Rung, safer: Rung, corners: set[Rung], depth: int) -> None:
    """Add the corners of the hull between two of them."""
    gained, lost = faster.sensitivity - safer.sensitivity, safer.time_ns - faster.time_ns
    if gained <= 0 or lost <= 0 or depth == 0 or not math.isfinite(lost / gained):
        return
    # At this price both ends cost the same; a corner between them costs less.
    corner = _best(costs, lost / gained)
    if corner in corners:
        return
    corners.add(corner)
    _add_corners(costs, faster, corner, corners, depth - 1)
    _add_corners(costs, corner, safer, corners, depth - 1)


def neighbours(costs: Costs, float_ops: frozenset[str]) -> Iterator[frozenset[str]]:
    """Yield the assignments that differ in one op or one pair of ops, the fastest by prediction first.

    A pair is an op and one that takes its output, which spares the conversion between them. Only assignments that
    change the graph and are predicted to be at most 2 % slower are yielded: predictions err by that much, and
    measurement decides.

    Args:
        costs: Times and sensitivities.
        float_ops: Ops in fp32 in the assignment to start from.
    """
    names = [op.name for op in costs.graph.ops if op.name not in costs.fixed]
    groups = [frozenset({name}) for name in names]
    for op in costs.graph.ops:
        for consumer in costs.graph.consumers.get(op.output, ()):
            pair = frozenset({op.name, consumer.name})
            if not pair & costs.fixed and len({name in float_ops for name in pair}) == 1:
                groups.append(pair)
    now = costs.time_ns(float_ops)
    changed = {canonical(costs, float_ops ^ group) for group in groups} - {canonical(costs, float_ops), float_ops}
    timed = sorted((costs.time_ns(moved), sorted(moved), moved) for moved in changed)
    for time_ns, _, moved in timed:
        if time_ns <= 1.02 * now:
            yield moved


class Bisection:
    """Finds the first of several steps that passes, in a number of trials that grows with the steps' logarithm.

    Passing is taken to be monotone: once a step passes, those after it do. The first step is tried first, as it mostly
    passes, then the last; then what is left is halved. Where passing is not monotone, ``first`` still passed itself.
    """

    def __init__(self, count: int) -> None:
        """Set up for ``count`` steps."""
        self._fails, self._passes = -1, count
        self._count = count

    @property
    def first(self) -> int | None:
        """Return the first step known to pass, or None."""
        return self._passes if self._passes < self._count else None

    @property
    def next(self) -> int | None:
        """Return the step to try next, or None if the search is over."""
        if self._passes - self._fails <= 1:
            return None
        if self._fails < 0:
            return 0
        if self._passes == self._count:
            return self._count - 1
        return (self._fails + self._passes) // 2

    def record(self, step: int, *, passed: bool) -> None:
        """Record whether a step passed."""
        if passed:
            self._passes = min(self._passes, step)
        else:
            self._fails = max(self._fails, step)
            if step == self._count - 1:
                self._passes = self._count
                self._fails = self._count
