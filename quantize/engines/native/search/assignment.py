"""The assignment of ops to fp32 and int8 that minimizes predicted time plus a price times sensitivity.

Time and summed sensitivity are a sum of costs of single ops and of pairs that disagree, so the best assignment is a
minimum cut (D. Greig, B. Porteous, A. Seheult, 1989): ops on the source's side are int8, those on the sink's side fp32.
A tensor with several consumers is converted once for all of them, which an auxiliary vertex expresses (V. Kolmogorov
and R. Zabih, "What Energy Functions Can Be Minimized via Graph Cuts?", 2004).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from quantize.engines.native.search.latency_model import LatencyModel
from quantize.engines.native.search.op_graph import FusedOp, OpGraph

TENSORS_ONLY = frozenset({"Add", "GlobalAveragePool", "Mul"})
"""Ops that are quantized by their tensors alone: no weights, and no grid that depends on the op."""

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
        graph: The model.
        latency: Times.
        weights: Sensitivity of ops' weights, by op.
        tensors: Sensitivity of tensors, by tensor.
        fixed: Ops that stay in fp32 whatever they cost.
        uint8_ns: Times of ops whose weights may be uint8 instead of int8, with those weights, in nanoseconds.
        uint8_weights: Sensitivity of those weights, by op.
    """

    graph: OpGraph
    latency: LatencyModel
    weights: Mapping[str, float]
    tensors: Mapping[str, float]
    fixed: frozenset[str] = frozenset()
    uint8_ns: Mapping[str, float] = field(default_factory=dict)
    uint8_weights: Mapping[str, float] = field(default_factory=dict)

    def uint8_ops(self, price: float) -> frozenset[str]:
        """Return the ops whose weights are better stored as uint8 than int8 if they compute on integers.

        Args:
            price: Nanoseconds for one nat.
        """

        def gain(name: str) -> float:
            less = self.weights.get(name, 0.0) - self.uint8_weights.get(name, 0.0)
            return _AS_FAST * self.latency.int8_ns[name] - self.uint8_ns[name] + price * less

        return frozenset(name for name in self.uint8_ns if gain(name) >= 0)

    def with_uint8(self, ops: frozenset[str]) -> Costs:
        """Return the costs with the weights of these ops uint8, and the choice made."""
        if not self.uint8_ns:
            return self
        times = {name: self.uint8_ns[name] for name in ops}
        latency = replace(self.latency, int8_ns={**self.latency.int8_ns, **times})
        weights = {**self.weights, **{name: self.uint8_weights.get(name, 0.0) for name in ops}}
        return replace(self, latency=latency, weights=weights, uint8_ns={}, uint8_weights={})

    def sensitivity(self, float_ops: frozenset[str]) -> float:
        """Return the summed sensitivity of an assignment: of all int8 ops' weights and all quantized tensors."""
        total = sum(value for name, value in self.weights.items() if name not in float_ops)
        for tensor, value in self.tensors.items():
            if any(op.name not in float_ops for op in self.graph.rounding(tensor)):
                total += value
        return total

    def time_ns(self, float_ops: frozenset[str]) -> float:
        """Return the predicted time of an assignment, in nanoseconds."""
        return self.latency.predicted(self.graph, float_ops)


def canonical(costs: Costs, float_ops: frozenset[str]) -> frozenset[str]:
    """Return an assignment without the ops whose exclusion changes nothing in the graph.

    In a QDQ graph the tensors carry the quantization, not the ops: an Add between int8 ops stands between
    DequantizeLinear and QuantizeLinear whether or not it is excluded, and onnxruntime makes an int8 Add of it.

    Args:
        costs: The model; fixed ops stay as they are.
        float_ops: Ops in fp32.
    """
    graph, remaining = costs.graph, float_ops
    while True:
        excluded = remaining - costs.fixed
        idle = {op.name for op in graph.ops if op.name in excluded and _is_idle(graph, op, remaining)}
        if not idle:
            return remaining
        remaining -= idle


def _is_idle(graph: OpGraph, op: FusedOp, float_ops: frozenset[str]) -> bool:
    if not op.function and (op.op_type not in TENSORS_ONLY or op.has_constants or len(op.nodes) > 1):
        return False
    return all(_is_quantized(graph, tensor, float_ops) for tensor in (*op.inputs, op.output))


def _is_quantized(graph: OpGraph, tensor: str, float_ops: frozenset[str]) -> bool:
    """Return whether an int8 op makes or takes a tensor; one that only moves values asks for no grid by itself."""
    return any(op.name not in float_ops and not op.moving for op in graph.rounding(tensor))


def best_assignment(costs: Costs, price: float) -> frozenset[str]:
    """Return the ops in fp32 that minimize ``time + price * sensitivity``.

    Args:
        costs: Times and sensitivities.
        price: Nanoseconds for one nat.
    """
    latency, graph = costs.latency, costs.graph
    conversions = 2 * len(graph.tensors) * latency.converting(max(graph.elements.values()))
    cut = _Cut(2 * (sum(latency.float_ns.values()) + sum(latency.int8_ns.values()) + conversions))
    for op in graph.ops:
        cut.if_float(op.name, latency.float_ns[op.name])
        cost = latency.int8_ns[op.name] + price * costs.weights.get(op.name, 0.0)
        cut.if_int8(op.name, _NEVER if op.name in costs.fixed else cost)
        if op.name in latency.alone_ns:
            cut.edge(cut.vertex(graph.producers[op.inputs[0]].name), cut.vertex(op.name), latency.alone_ns[op.name])
    for tensor in graph.tensors:
        producer = graph.producers.get(tensor)
        consumers = graph.consumers.get(tensor, ())
        cost = price * costs.tensors.get(tensor, 0.0)
        on_grid = cut.vertex(f"on grid:{tensor}")
        cut.edge(on_grid, cut.sink, cost)
        for op in graph.rounding(tensor):
            cut.edge(cut.vertex(op.name), on_grid, _NEVER)
        made = cut.vertex(producer.name) if producer is not None else cut.sink
        quantized = cut.vertex(f"quantized:{tensor}")
        cut.edge(quantized, made, latency.converting(graph.elements[tensor]))
        dequantized = cut.vertex(f"dequantized:{tensor}")
        cut.edge(made, dequantized, latency.converting(graph.dequantized_elements(tensor)))
        for op in consumers:
            cut.edge(cut.vertex(op.name), quantized, _NEVER)
            cut.edge(dequantized, cut.vertex(op.name), _NEVER)
        if tensor in graph.float_tensors:
            cut.edge(dequantized, cut.sink, _NEVER)
    int8 = cut.source_side()
    return frozenset(op.name for op in graph.ops if op.name not in int8)


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
        factor = _MOST / finite
        size = len(self._vertices) + 2
        starts, ends = (np.array([edge[at] for edge in self._edges]) for at in (0, 1))
        capacities = np.array(
            [_UNCUT if value == _NEVER else math.ceil(min(value, finite) * factor) for value in self._edges.values()],
            np.int32,
        )
        network = csr_matrix((capacities, (starts, ends)), shape=(size, size))
        flow = maximum_flow(network, 0, self.sink).flow
        residual = network - flow
        residual.data = np.maximum(residual.data, 0)
        residual.eliminate_zeros()
        reached = set(breadth_first_order(residual, 0, return_predecessors=False).tolist())
        return {name for name, vertex in self._vertices.items() if vertex in reached}
