"""Groups of nodes that are one function together: what lies inside them is never rounded.

An exporter writes an activation such as SiLU, HardSwish, Gelu or Mish as several nodes, a LayerNormalization as nine,
and a linear layer's bias as an Add behind its MatMul. Eight bits between those nodes cost accuracy and time, and buy
nothing: no operator works on the integers there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onnx import NodeProto

from quantize.graph.nodes import ACTIVATIONS, MICROSOFT, is_op
from quantize.graph.view import Graph

Kind = Literal["function", "normalization", "biased product"]

CURVED = (
    *("Celu", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "LogSigmoid", "Mish", "Pow"),
    *("Reciprocal", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu"),
)
"""Operators on one value each that are no straight line."""

ONE_NODE = {"QuickGelu": MICROSOFT, "Gelu": MICROSOFT, "FastGelu": MICROSOFT}
"""Functions that onnxruntime computes as one node of its own, and the domain."""

_STRAIGHT = ("Abs", "Add", "Clip", "Div", "Max", "Min", "Mul", "Neg", "Relu", "Sub")
_CENTERING = ("ReduceMean",)
_MOST_NODES = 24
"""No such function is written with more nodes."""


@dataclass(frozen=True)
class Region:
    """Nodes that compute one tensor from one other.

    Attributes:
        kind: ``function``: every value of the output is the same function of one value of the source;
            ``normalization``: mean and deviation over an axis are used too; ``biased product``: a MatMul with constant
            weights and the Add of its bias.
        nodes: In an order in which they can run; the last makes the output.
        source: The tensor that they read; further inputs are constant.
        output: The tensor that they make.
    """

    kind: Kind
    nodes: tuple[NodeProto, ...]
    source: str
    output: str

    @property
    def float_nodes(self) -> tuple[str, ...]:
        """Return the names of the nodes that compute in float whatever stands around them."""
        return tuple(node.name for node in self.nodes if not is_op(node, "MatMul"))


def is_function(node: NodeProto) -> bool:
    """Return whether a node by itself is a function of one value each, such as a HardSwish."""
    one = is_op(node, *CURVED) or ONE_NODE.get(node.op_type) == node.domain
    return one and len(node.input) == 1 and len(node.output) == 1


def functions(graph: Graph) -> Iterator[tuple[NodeProto, ...]]:
    """Yield the nodes of every function of one tensor, be it one node or several; each is named as its last one."""
    groups = {id(node): region for region in regions(graph) for node in region.nodes}
    for node in graph.sorted_nodes():
        region = groups.get(id(node))
        if region is None and is_function(node):
            yield (node,)
        elif region is not None and region.kind == "function" and region.nodes[-1] is node:
            yield region.nodes


def regions(graph: Graph) -> tuple[Region, ...]:
    """Return the regions of a graph that have more than one node, none of which is in two of them, in its order."""
    found: list[Region] = []
    taken: set[int] = set()
    order = graph.sorted_nodes()
    places = {id(node): place for place, node in enumerate(order)}
    for node in order:
        if id(node) in taken:
            continue
        for region in _beginning_at(graph, node, places):
            if not any(id(own) in taken for own in region.nodes):
                taken.update(id(own) for own in region.nodes)
                found.append(region)
                break
    return tuple(found)


def _beginning_at(graph: Graph, node: NodeProto, places: Mapping[int, int]) -> Iterator[Region]:
    """Yield the regions whose first node is ``node``, the largest first."""
    biased = _biased_product(graph, node)
    if biased is not None:
        yield biased
    if _is_inner(node):
        for source in dict.fromkeys(_computed(graph, node)):
            yield from _grown(graph, source, node, places)


def _biased_product(graph: Graph, node: NodeProto) -> Region | None:
    weights = graph.constant(node.input[1]) if is_op(node, "MatMul") else None
    add = graph.sole_consumer(node.output[0]) if weights is not None and weights.ndim == 2 else None
    if add is None or weights is None or not is_op(add, "Add"):
        return None
    bias = graph.constant(next(name for name in add.input if name != node.output[0]))
    if bias is None or bias.ndim != 1 or bias.shape[0] != weights.shape[1]:
        return None
    return Region("biased product", (node, add), node.input[0], add.output[0])


def _grown(graph: Graph, source: str, first: NodeProto, places: Mapping[int, int]) -> Iterator[Region]:
    """Yield what can be cut out, with one output, of all that is computed value by value from ``source``."""
    reached: dict[str, NodeProto] = {}
    reads: dict[str, set[str]] = {}
    waiting = [(places[id(node)], node) for node in graph.consumers(source)]
    heapq.heapify(waiting)
    seen = {id(node) for _, node in waiting}
    while waiting and len(reached) < _MOST_NODES:
        _, node = heapq.heappop(waiting)
        own = _computed(graph, node)
        if not _is_inner(node) or any(name != source and name not in reached for name in own):
            continue
        reached[node.output[0]], reads[node.output[0]] = node, set(own)
        for reader in graph.consumers(node.output[0]):
            if id(reader) not in seen:
                seen.add(id(reader))
                heapq.heappush(waiting, (places[id(reader)], reader))
    for output in reversed(reached):
        inside = _needed(output, reads)
        nodes = tuple(node for name, node in reached.items() if name in inside)
        kind = _kind(graph, nodes) if len(nodes) > 1 and nodes[0] is first and _leaves_by(graph, nodes) else None
        if kind is not None:
            yield Region(kind, nodes, source, output)


def _needed(output: str, reads: dict[str, set[str]]) -> set[str]:
    needed, waiting = set[str](), [output]
    while waiting:
        name = waiting.pop()
        if name not in needed and name in reads:
            needed.add(name)
            waiting += reads[name]
    return needed


def _leaves_by(graph: Graph, nodes: Sequence[NodeProto]) -> bool:
    """Return whether nothing but the last node's output is read outside."""
    own = {id(node) for node in nodes}
    return not any(
        graph.is_output(node.output[0]) or any(id(reader) not in own for reader in graph.consumers(node.output[0]))
        for node in nodes[:-1]
    )


def _kind(graph: Graph, nodes: Sequence[NodeProto]) -> Kind | None:
    if any(is_op(node, *_CENTERING) for node in nodes):
        roots = any(is_op(node, "Sqrt", "Pow") for node in nodes)
        return "normalization" if roots and is_op(nodes[-1], "Add", "Div", "Mul") else None
    curved = any(is_op(node, *CURVED) or len(_computed(graph, node)) > 1 for node in nodes)
    if is_op(nodes[0], *ACTIVATIONS):  # the range of the tensor before it stands for it
        return None
    return "function" if curved and not any(_has_channels(graph, node) for node in nodes) else None


def _is_inner(node: NodeProto) -> bool:
    return is_op(node, *CURVED, *_STRAIGHT, *_CENTERING) and len(node.output) == 1


def _computed(graph: Graph, node: NodeProto) -> list[str]:
    """Return the inputs of a node that are not constant."""
    return [name for name in node.input if name and graph.constant(name) is None]


def _has_channels(graph: Graph, node: NodeProto) -> bool:
    """Return whether a constant of a node is more than one number: then channels have functions of their own."""
    constants = (graph.constant(name) for name in node.input if name)
    return any(values is not None and values.size != 1 for values in constants)
