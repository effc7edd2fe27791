"""Concat and onnxruntime's QLinearConcat; a Concat of equal parameters works on the integers directly."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, is_quantize, node_parameters, parameters
from quantize.formats.qdq_pattern import QdqPattern, replace_by_pattern, replace_pattern
from quantize.graph.nodes import DEFAULT_DOMAIN, attribute
from quantize.graph.view import Graph


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinearConcat by one DequantizeLinear per input, Concat, and QuantizeLinear.

    Inputs of the node: Y_scale, Y_zero_point, then tensor, scale and zero point of each input.
    """
    by_y = parameters(graph, node.input[0], node.input[1])
    pieces = [(node.input[at], parameters(graph, *node.input[at + 1 : at + 3])) for at in range(2, len(node.input), 3)]
    if by_y is None or any(by is None for _, by in pieces):
        return False
    inputs = [add_dequantize(graph, name, by) for name, by in pieces if by is not None]
    return replace_by_pattern(graph, node, "Concat", inputs, by_y, axis=attribute(node, "axis"))


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around a Concat: by a Concat of integers where all parameters are equal, or QLinearConcat."""
    pieces = [piece for piece in pattern.inputs if piece is not None]
    if len(pieces) != len(pattern.inputs) or not all(pattern.suits(piece) for piece in pieces):
        return False
    axis = attribute(pattern.node, "axis")
    if all(piece.by.same_as(pattern.by) for piece in pieces):
        integers = [piece.integers for piece in pieces]
        return replace_pattern(graph, pattern, "Concat", integers, DEFAULT_DOMAIN, axis=axis)
    inputs = [*pattern.names, *(name for piece in pieces for name in piece.names)]
    return replace_pattern(graph, pattern, "QLinearConcat", inputs, axis=axis)


def integers_to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Put DequantizeLinear before and QuantizeLinear after a Concat of integers of equal, known parameters."""
    makers = [graph.producer(name) for name in node.input]
    grids = [node_parameters(graph, maker) if maker is not None and is_quantize(maker) else None for maker in makers]
    by = grids[0]
    if by is None or by.axis is not None or not all(other is not None and other.same_as(by) for other in grids):
        return False
    values = [add_dequantize(graph, name, by) for name in node.input]
    return replace_by_pattern(graph, node, "Concat", values, by, axis=attribute(node, "axis"))
