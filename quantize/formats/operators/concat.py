"""Concat and onnxruntime's QLinearConcat; a Concat of equal parameters is one of the integers themselves."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, add_quantize, is_quantize, node_parameters, parameters
from quantize.formats.qdq_pattern import QdqPattern, clip_integers
from quantize.graph.nodes import MICROSOFT, attribute
from quantize.graph.view import Graph


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinearConcat by a DequantizeLinear an input, Concat, and QuantizeLinear.

    Inputs of the node: Y_scale, Y_zero_point, then tensor, scale and zero point of each input.
    """
    by_y = parameters(graph, node.input[0], node.input[1])
    pieces = [(node.input[at], parameters(graph, *node.input[at + 1 : at + 3])) for at in range(2, len(node.input), 3)]
    if by_y is None or any(by is None for _, by in pieces):
        return False
    inputs = [add_dequantize(graph, name, by) for name, by in pieces if by is not None]
    output = graph.fresh(f"{node.output[0]}_float")
    graph.remove([node])
    graph.add("Concat", inputs, [output], name=node.name, axis=attribute(node, "axis"))
    add_quantize(graph, output, by_y, node.output[0])
    return True


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around a Concat: by a Concat of integers where all parameters are equal, or QLinearConcat."""
    pieces = [piece for piece in pattern.inputs if piece is not None]
    if len(pieces) != len(pattern.inputs) or not all(pattern.suits(piece) for piece in pieces):
        return False
    axis = attribute(pattern.node, "axis")
    graph.remove(pattern.replaced)
    output = clip_integers(graph, pattern.bounds, pattern.by, pattern.integers)
    if all(piece.by.same_as(pattern.by) for piece in pieces):
        graph.add("Concat", [piece.integers for piece in pieces], [output], name=pattern.node.name, axis=axis)
        return True
    inputs = pattern.names
    inputs += [name for piece in pieces for name in piece.names]
    graph.add("QLinearConcat", inputs, [output], name=pattern.node.name, domain=MICROSOFT, axis=axis)
    return True


def integers_to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Put DequantizeLinear before and QuantizeLinear after a Concat of integers of equal, known parameters."""
    makers = [graph.producer(name) for name in node.input]
    found = [node_parameters(graph, maker) if maker is not None and is_quantize(maker) else None for maker in makers]
    by = found[0]
    if by is None or by.axis is not None or not all(other is not None and other.same_as(by) for other in found):
        return False
    values = [add_dequantize(graph, name, by) for name in node.input]
    output = graph.fresh(f"{node.output[0]}_float")
    graph.remove([node])
    graph.add("Concat", values, [output], name=node.name, axis=attribute(node, "axis"))
    add_quantize(graph, output, by, node.output[0])
    return True
