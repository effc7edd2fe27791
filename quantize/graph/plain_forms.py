"""Forms of nodes that mean the same, brought to the one that quantizers know: each step is exact."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from quantize.graph.activations import Interval, interval
from quantize.graph.nodes import attribute, is_op, take_attribute
from quantize.graph.view import Graph

_AXES = 3
"""Which input of a Pad names its axes."""


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


def pad_every_axis(graph: Graph) -> None:
    """Spell out for every axis what a Pad adds to some (opset 18): onnxruntime's moves of Transposes know no others."""
    partial = [node for node in graph.nodes if is_op(node, "Pad") and len(node.input) > _AXES and node.input[_AXES]]
    shapes = graph.shapes() if partial else {}
    for node in partial:
        amounts, axes = graph.constant(node.input[1]), graph.constant(node.input[_AXES])
        shape = shapes.get(node.input[0])
        if amounts is None or axes is None or shape is None:
            continue
        every = np.zeros((2, len(shape)), np.int64)
        every[:, axes] = amounts.reshape(2, -1)
        name = graph.add_constant(f"{node.input[1]}_of_every_axis", every.reshape(-1))
        graph.set_inputs(node, [node.input[0], name, *node.input[2:_AXES]])


def pad_ahead_of_pools(graph: Graph) -> None:
    """Put the padding that an AveragePool counts ahead of it, where windows may reach beyond it (``ceil_mode``).

    What lies beyond counts in no mean; onnxruntime's QLinearAveragePool counts it.
    """
    for node in list(graph.nodes):
        if not is_op(node, "AveragePool") or not attribute(node, "count_include_pad", 0):
            continue
        if not attribute(node, "ceil_mode", 0) or attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", b"NOTSET"):
            continue
        sizes = attribute(node, "kernel_shape")
        pads = np.array(attribute(node, "pads", [0] * 2 * len(sizes))).reshape(2, -1)
        strides, dilations = (np.array(attribute(node, name, [1] * len(sizes))) for name in ("strides", "dilations"))
        if (pads[1] > dilations * (np.array(sizes) - 1) + 1 - strides).any():
            continue  # a window may begin in the padding, which is dropped there and would not be here
        take_attribute(node, "count_include_pad")
        if not pads.any():
            continue
        take_attribute(node, "pads")
        padded = graph.fresh(f"{node.input[0]}_padded")
        amounts = graph.add_constant(f"{padded}_amounts", np.pad(pads, [(0, 0), (2, 0)]).reshape(-1).astype(np.int64))
        zero = graph.add_constant(f"{padded}_value", np.array(0, np.float32))
        graph.add("Pad", [node.input[0], amounts, zero], [padded], name=f"{node.name}_Pad", before=node)
        graph.set_input(node, 0, padded)
