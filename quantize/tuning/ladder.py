"""Rungs of assignments from the fastest to the safest, each the fastest within a bound on its sensitivity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantize.tuning.assignment import Costs, best_assignment
from quantize.tuning.effect import effective

_DEPTH = 40


@dataclass(frozen=True)
class Rung:
    """One assignment.

    Attributes:
        float_units: Units that stay in fp32, sorted.
        time_ns: Predicted time, in nanoseconds.
        sensitivity: Summed sensitivity, in nats: the bound within which nothing on the ladder is faster.
    """

    float_units: tuple[str, ...]
    time_ns: float
    sensitivity: float


def ladder(costs: Costs, most: int = 24) -> tuple[Rung, ...]:
    """Return at most ``most`` rungs, the fastest first; sensitivity falls and time rises from rung to rung.

    The first rung is the fastest assignment whatever its sensitivity: ops that are faster in fp32 are in fp32 there.
    The last ones come near fp32 throughout, which itself is never on the ladder: where it is predicted to be fastest,
    the all-int8 assignment is the only rung. Where the lower convex hull of time against sensitivity has more corners,
    those with the largest steps of sensitivity between them are kept.
    """
    everything = frozenset(unit.name for unit in costs.graph.units)
    fastest, safest = best_assignment(costs, 0.0), everything
    found = {fastest, safest}
    _between(costs, fastest, safest, found, _DEPTH)
    found.discard(everything)
    found = {effective(costs, units) for units in found}
    if not found:
        # fp32 is predicted to be the fastest of all; whether it is, one measured candidate has to show.
        found.add(costs.fixed)
    rungs = sorted(
        (Rung(tuple(sorted(units)), costs.time_ns(units), costs.sensitivity(units)) for units in found),
        key=lambda rung: (rung.time_ns, rung.sensitivity, rung.float_units),
    )
    falling: list[Rung] = []
    for rung in rungs:
        if not falling or rung.sensitivity < falling[-1].sensitivity:
            falling.append(rung)
    while len(falling) > most:
        steps = [falling[at - 1].sensitivity - falling[at].sensitivity for at in range(1, len(falling))]
        del falling[steps.index(min(steps)) + 1]
    return tuple(falling)


def _between(
    costs: Costs, faster: frozenset[str], safer: frozenset[str], found: set[frozenset[str]], depth: int
) -> None:
    """Add the corners of the hull between two of them."""
    gained = costs.sensitivity(faster) - costs.sensitivity(safer)
    lost = costs.time_ns(safer) - costs.time_ns(faster)
    if gained <= 0 or lost <= 0 or depth == 0 or not math.isfinite(lost / gained):
        return
    # At this price both ends cost the same; a corner between them costs less.
    corner = best_assignment(costs, lost / gained)
    if corner in found:
        return
    found.add(corner)
    _between(costs, faster, corner, found, depth - 1)
    _between(costs, corner, safer, found, depth - 1)
