"""The assignment of units to fp32 and int8 with the least predicted time plus a price on its sensitivity.

Time and summed sensitivity are a sum of costs of single units and of pairs that disagree, so the best assignment is
a minimum cut (D. Greig, B. Porteous, A. Seheult, 1989): units on the source's side are int8, those on the sink's side
fp32. A tensor with several takers is converted once for all of them, which an auxiliary vertex expresses (V.
Kolmogorov and R. Zabih, "What Energy Functions Can Be Minimized via Graph Cuts?", 2004).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from quantize.engines.native.search.latency_model import LatencyModel
from quantize.engines.native.search.tensor_users import Borders
from quantize.engines.native.search.units import UnitGraph

_NEVER = math.inf
_UNCUT = 1 << 29
_AS_FAST = 1.02
"""Weights of uint8 are taken where their layer takes at most this much longer: their sums are exact."""
_MOST = 1 << 22
"""Capacities are whole: the greatest finite cost becomes this many, one that must not be cut ``_UNCUT``."""


@dataclass(frozen=True)
class Costs:
    """What decides an assignment.

    Attributes:
        graph: The model as units.
        borders: Who makes and takes its tensors.
        latency: Times.
        weights: Sensitivity of units' weights, by unit.
        tensors: Sensitivity of tensors, by tensor.
        fixed: Units that stay in fp32 whatever they cost.
        uint8_ns: Times of units whose weights may be uint8 in place of int8, with those, in nanoseconds.
        uint8_weights: Sensitivity of those weights, by unit.
    """

    graph: UnitGraph
    borders: Borders
    latency: LatencyModel
    weights: Mapping[str, float]
    tensors: Mapping[str, float]
    fixed: frozenset[str] = frozenset()
    uint8_ns: Mapping[str, float] = field(default_factory=dict)
    uint8_weights: Mapping[str, float] = field(default_factory=dict)

    def uint8_units(self, price: float) -> frozenset[str]:
        """Return the units whose weights are better uint8 than int8 where they compute on integers.

        Args:
            price: Nanoseconds for one nat.
        """

        def gain(name: str) -> float:
            less = self.weights.get(name, 0.0) - self.uint8_weights.get(name, 0.0)
            return _AS_FAST * self.latency.int8_ns[name] - self.uint8_ns[name] + price * less

        return frozenset(name for name in self.uint8_ns if gain(name) >= 0)

    def with_uint8(self, units: frozenset[str]) -> Costs:
        """Return the costs with the weights of these units uint8, and the choice made."""
        if not self.uint8_ns:
            return self
        times = {name: self.uint8_ns[name] for name in units}
        latency = replace(self.latency, int8_ns={**self.latency.int8_ns, **times})
        weights = {**self.weights, **{name: self.uint8_weights.get(name, 0.0) for name in units}}
        return replace(self, latency=latency, weights=weights, uint8_ns={}, uint8_weights={})

    def sensitivity(self, float_units: frozenset[str]) -> float:
        """Return the summed sensitivity of an assignment: of all int8 units' weights and all tensors on a grid."""
        total = sum(value for name, value in self.weights.items() if name not in float_units)
        for tensor, value in self.tensors.items():
            if self.borders.is_int8_maker(tensor, float_units) or True in self.borders.takers(tensor, float_units):
                total += value
        return total

    def time_ns(self, float_units: frozenset[str]) -> float:
        """Return the predicted time of an assignment, in nanoseconds."""
        return self.latency.predicted(self.graph, self.borders, float_units)


def best_assignment(costs: Costs, price: float) -> frozenset[str]:
    """Return the units in fp32 that make ``time + price * sensitivity`` least.

    Args:
        costs: Times and sensitivities.
        price: Nanoseconds for one nat.
    """
    latency, graph, borders = costs.latency, costs.graph, costs.borders
    conversions = sum(latency.enter_ns + latency.leave_ns for _ in borders.tensors) * max(graph.elements.values())
    cut = _Cut(2 * (sum(latency.float_ns.values()) + sum(latency.int8_ns.values()) + conversions))
    for unit in graph.units:
        cut.if_float(unit.name, latency.float_ns[unit.name])
        cost = latency.int8_ns[unit.name] + price * costs.weights.get(unit.name, 0.0)
        cut.if_int8(unit.name, _NEVER if unit.name in costs.fixed else cost)
    for tensor in borders.tensors:
        maker = graph.producers.get(tensor)
        takers = graph.consumers.get(tensor, ())
        cost = price * costs.tensors.get(tensor, 0.0)
        on_grid = cut.vertex(f"on grid:{tensor}")
        cut.edge(on_grid, cut.sink, cost)
        for unit in (*([maker] if maker is not None else []), *takers):
            cut.edge(cut.vertex(unit.name), on_grid, _NEVER)
        made = cut.vertex(maker.name) if maker is not None else cut.sink
        entered = cut.vertex(f"entered:{tensor}")
        cut.edge(entered, made, latency.enter_ns * graph.elements[tensor])
        left = cut.vertex(f"left:{tensor}")
        cut.edge(made, left, latency.leave_ns * borders.leaving(tensor))
        for unit in takers:
            cut.edge(cut.vertex(unit.name), entered, _NEVER)
            cut.edge(left, cut.vertex(unit.name), _NEVER)
        if tensor in borders.float_takers:
            cut.edge(left, cut.sink, _NEVER)
    int8 = cut.source_side()
    return frozenset(unit.name for unit in graph.units if unit.name not in int8)


class _Cut:
    """A directed graph with a source (int8) and a sink (fp32)."""

    sink = 1

    def __init__(self, most_time: float) -> None:
        self._most_time = most_time
        self._vertices: dict[str, int] = {}
        self._edges: dict[tuple[int, int], float] = {}

    def vertex(self, name: str) -> int:
        return self._vertices.setdefault(name, len(self._vertices) + 2)

    def edge(self, start: int, end: int, capacity: float) -> None:
        if start != end and start != self.sink:
            self._edges[start, end] = self._edges.get((start, end), 0.0) + capacity

    def if_float(self, name: str, cost: float) -> None:
        self.edge(0, self.vertex(name), cost)

    def if_int8(self, name: str, cost: float) -> None:
        self.edge(self.vertex(name), self.sink, cost)

    def source_side(self) -> set[str]:
        """Return the vertices that stay with the source in a minimum cut."""
        # No assignment saves more than all times together, so a larger cost is as good as this one.
        finite = max(self._most_time, 1e-9)
        unit = _MOST / finite
        size = len(self._vertices) + 2
        starts, ends = (np.array([edge[at] for edge in self._edges]) for at in (0, 1))
        capacities = np.array(
            [_UNCUT if value == _NEVER else math.ceil(min(value, finite) * unit) for value in self._edges.values()],
            np.int32,
        )
        network = csr_matrix((capacities, (starts, ends)), shape=(size, size))
        flow = maximum_flow(network, 0, self.sink).flow
        residual = network - flow
        residual.data = np.maximum(residual.data, 0)
        residual.eliminate_zeros()
        reached = set(breadth_first_order(residual, 0, return_predecessors=False).tolist())
        return {name for name, vertex in self._vertices.items() if vertex in reached}
