"""Candidates next to the best one: one unit, or one run of units, moved to the other side."""

from __future__ import annotations

from collections.abc import Iterator

from quantize.engines.native.search.assignment import Costs
from quantize.engines.native.search.effective_assignment import effective


def neighbours(costs: Costs, float_units: frozenset[str]) -> Iterator[frozenset[str]]:
    """Yield the assignments next to one, the most promising by predicted time first.

    Moved are single units, and pairs of a unit and one that takes its output, which spares the conversion between
    them. Only those are yielded that change the graph and are predicted to be at most 2 % slower: predictions err by
    that much, and measurement decides.

    Args:
        costs: Times and sensitivities.
        float_units: Units in fp32 in the assignment to start from.
    """
    units = [unit.name for unit in costs.graph.units if unit.name not in costs.fixed]
    groups = [frozenset({name}) for name in units]
    for unit in costs.graph.units:
        for taker in costs.graph.consumers.get(unit.output, ()):
            pair = frozenset({unit.name, taker.name})
            if not pair & costs.fixed and len({name in float_units for name in pair}) == 1:
                groups.append(pair)
    now = costs.time_ns(float_units)
    found = {effective(costs, float_units ^ group) for group in groups} - {effective(costs, float_units), float_units}
    timed = sorted((costs.time_ns(moved), sorted(moved), moved) for moved in found)
    for time_ns, _, moved in timed:
        if time_ns <= 1.02 * now:
            yield moved
