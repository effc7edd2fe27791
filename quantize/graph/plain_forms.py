"""Forms of nodes that mean the same, brought to the one that quantizers know: each step is exact."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from quantize.graph.activations import Interval, interval
from quantize.graph.nodes import is_op
from quantize.graph.view import Graph


def merge_activations(graph: Graph) -> None:
    """Let a Relu or Clip right behind another one take over what that one confines values to."""
    for node in list(graph.nodes):
        own = interval(graph, node)
        maker = graph.producer(node.input[0]) if own is not None else None
        before = interval(graph, maker) if maker is not None else None
        if own is None or maker is None or before is None or graph.sole_consumer(maker.output[0]) is not node:
            continue
        both = Interval(own.confine(before.low), own.confine(before.high))
        if before.low > before.high or both.low > both.high:
            continue
        source = maker.input[0]
        graph.remove([maker])
        if both != own:
            _confine_to(graph, node, both)
        graph.set_input(node, 0, source)


def _confine_to(graph: Graph, node: NodeProto, both: Interval) -> None:
    node.op_type = "Clip"
    for position, (end, bound) in enumerate((("low", both.low), ("high", both.high)), start=1):
        name = ""
        if np.isfinite(bound):
            name = graph.add_constant(f"{node.output[0]}_{end}", np.array(bound, np.float32))
        graph.set_input(node, position, name)


def drop_empty_pieces(graph: Graph) -> None:
    """Remove constants without values from every Concat, and the Concat itself where one piece is left."""
    for node in list(graph.nodes):
        if not is_op(node, "Concat"):
            continue
        values = [graph.constant(name) for name in node.input]
        kept = [name for name, piece in zip(node.input, values, strict=True) if piece is None or piece.size]
        if not kept or len(kept) == len(node.input):
            continue
        graph.set_inputs(node, kept)
        if len(kept) == 1:
            graph.bypass(node)
