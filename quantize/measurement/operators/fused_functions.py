"""Where nodes come from that onnxruntime makes of several and gives a name of its own, such as ``Gelu``.

The graph that ran tells: by the tensor that a node makes, whose name stays the fp32 model's, or, between Convs in
blocks of channels, where all names are new, by the node that it stands behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import ModelProto, NodeProto

from quantize.graph.nodes import WEIGHTED
from quantize.graph.regions import ONE_NODE, regions
from quantize.graph.view import Graph
from quantize.measurement.operators.kinds import CONVERSIONS

_FUNCTIONS = (*ONE_NODE, "BiasGelu")
FUSED = (*_FUNCTIONS, "LayerNormalization", "SkipLayerNormalization")
"""Operators that onnxruntime makes of several nodes, none of which has weights."""
_MOVES = (*CONVERSIONS, "Reshape")
_TAKEN_IN = ("Add", "BatchNormalization")
"""What onnxruntime computes in the product before it."""


class FusedFunctions:
    """The functions and normalizations of an fp32 model that take several nodes."""

    def __init__(self, graph: Graph) -> None:
        """Set up for the fp32 model's graph."""
        self._graph = graph
        whole = [region for region in regions(graph) if region.kind != "biased product"]
        self._last: dict[str, str] = {node.name: region.nodes[-1].name for region in whole for node in region.nodes}
        self._behind: dict[str, str] = {
            region.source: region.nodes[-1].name for region in whole if region.kind == "function"
        }

    def whole(self, origin: str | None) -> str | None:
        """Return the last node's name for a node that is a part, for others their own."""
        return None if origin is None else self._last.get(origin, origin)

    def by_tensor(self, op_type: str, names: Sequence[str]) -> str | None:
        """Return the name of the node without weights that makes one of these tensors.

        Args:
            op_type: The operator that ran. Onnxruntime puts what only moves values behind other nodes, whose tensors
                it then makes: it comes from its like alone.
            names: What it makes.
        """
        for name in names:
            maker = self._graph.producer(name)
            is_like = maker is not None and (maker.op_type == op_type or op_type not in _MOVES)
            if maker is not None and is_like and maker.op_type not in WEIGHTED:
                return str(maker.name)
        return None

    def behind(self, origin: str) -> str | None:
        """Return the function that reads what a node makes, with what onnxruntime takes into it."""
        node: NodeProto | None = self._graph.node(origin)
        while node is not None:
            if node.output[0] in self._behind:
                return self._behind[node.output[0]]
            node = self._graph.sole_consumer(node.output[0])
            node = node if node is not None and node.op_type in _TAKEN_IN else None
        return None


def makers_of(nodes: Sequence[NodeProto]) -> dict[str, int]:
    """Return the place of the node that makes each tensor."""
    return {name: place for place, node in enumerate(nodes) for name in node.output}


def origin_before(
    nodes: Sequence[NodeProto], makers: Mapping[str, int], index: int, origins: Sequence[str | None]
) -> str | None:
    """Return the origin of the node that a function stands behind in the graph that ran; None of what is no function.

    Args:
        nodes: Of the graph, in their order.
        makers: See ``makers_of``.
        index: Of the node.
        origins: Of all nodes, as far as they are known.
    """
    at: int | None = index if nodes[index].op_type in _FUNCTIONS else None
    while at is not None:
        at = makers.get(nodes[at].input[0]) if nodes[at].input else None
        if at is not None and (origins[at] is not None or nodes[at].op_type not in _MOVES):
            return origins[at]
    return None


def is_what_ran(runs: ModelProto, names: Sequence[tuple[str, str]]) -> bool:
    """Return whether a graph's nodes are those that ran, given by name and operator, in their order."""
    return [(node.name, node.op_type) for node in runs.graph.node] == [*names]
