"""Rungs of assignments from the fastest to the safest, each the fastest within a bound on its sensitivity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantize.engines.native.search.assignment import Costs, best_assignment
from quantize.engines.native.search.effective_assignment import effective

_DEPTH = 40


@dataclass(frozen=True)
class Rung:
    """One assignment.

    Attributes:
        float_units: Units that stay in fp32, sorted.
        time_ns: Predicted time, in nanoseconds.
        sensitivity: Summed sensitivity, in nats: the bound within which nothing on the ladder is faster.
        uint8_units: Units whose weights are uint8 where they are not in fp32, sorted.
    """

    float_units: tuple[str, ...]
    time_ns: float
    sensitivity: float
    uint8_units: tuple[str, ...] = ()


def ladder(costs: Costs, most: int = 24) -> tuple[Rung, ...]:
    """Return at most ``most`` rungs, the fastest first; sensitivity falls and time rises from rung to rung.

    The first rung is the fastest assignment whatever its sensitivity: ops that are faster in fp32 are in fp32 there.
    The last one has all ops in fp32. Where the lower convex hull of time against sensitivity has more corners, those
    with the largest steps of sensitivity between them are kept.
    """
    everything = frozenset(unit.name for unit in costs.graph.units)
    fastest, safest = _best(costs, 0.0), _rung(costs.with_uint8(costs.uint8_units(0.0)), everything, ())
    found = {fastest, safest}
    _between(costs, fastest, safest, found, _DEPTH)
    rungs = sorted(found, key=lambda rung: (rung.time_ns, rung.sensitivity, rung.float_units))
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
    uint8 = costs.uint8_units(price)
    decided = costs.with_uint8(uint8)
    return _rung(decided, effective(decided, best_assignment(decided, price)), tuple(sorted(uint8)))


def _rung(costs: Costs, float_units: frozenset[str], uint8_units: tuple[str, ...]) -> Rung:
    return Rung(tuple(sorted(float_units)), costs.time_ns(float_units), costs.sensitivity(float_units), uint8_units)


def _between(costs: Costs, faster: Rung, safer: Rung, found: set[Rung], depth: int) -> None:
    """Add the corners of the hull between two of them."""
    gained, lost = faster.sensitivity - safer.sensitivity, safer.time_ns - faster.time_ns
    if gained <= 0 or lost <= 0 or depth == 0 or not math.isfinite(lost / gained):
        return
    # At this price both ends cost the same; a corner between them costs less.
    corner = _best(costs, lost / gained)
    if corner in found:
        return
    found.add(corner)
    _between(costs, faster, corner, found, depth - 1)
    _between(costs, corner, safer, found, depth - 1)
