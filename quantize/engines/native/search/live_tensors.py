"""Which tensors a pass through a model has to keep, and how many values that are at most."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from quantize.engines.native.search.op_graph import OpGraph
from quantize.graph.nodes import reads


def ends(graph: OpGraph) -> dict[int, int]:
    """Return by position of each op's nodes that of its last one, at which a pass runs the op as a whole."""
    return {index: op.nodes[-1] for op in graph.ops for index in op.nodes}


def last_uses(model: onnx.ModelProto, graph: OpGraph) -> dict[str, int]:
    """Return by tensor the position of the last node that takes it; behind all nodes for the scores.

    What a node inside an op takes is needed when the op as a whole runs, at its last node.
    """
    runs_at = ends(graph)
    last = {graph.scores: len(model.graph.node)}
    for index, node in enumerate(model.graph.node):
        for name in reads(node):
            last[name] = max(last.get(name, 0), runs_at.get(index, index))
    return last


def most_values(model: onnx.ModelProto, graph: OpGraph) -> int:
    """Return how many values the tensors of one image have that a pass keeps at a time, at most."""
    last = last_uses(model, graph)
    inside = {index for op in graph.ops for index in op.nodes[:-1]}
    live = {graph.image}
    most = _values(graph.elements, live)
    for index, node in enumerate(model.graph.node):
        if index in inside:
            continue
        live |= {name for name in node.output if name in last}
        most = max(most, _values(graph.elements, live))
        live -= {name for name in live if last.get(name, -1) <= index}
    return most


def _values(elements: Mapping[str, int], live: set[str]) -> int:
    return sum(elements.get(name, 0) for name in live)
