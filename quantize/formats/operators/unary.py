"""Pools, activations and Softmax, and onnxruntime's QLinear operators of the same names.

QLinearSoftmax has an attribute ``opset`` that says which axis semantics it has.
"""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, parameters
from quantize.formats.qdq_pattern import QdqPattern, replace_by_pattern, replace_pattern
from quantize.graph.nodes import attribute, attributes
from quantize.graph.opsets.lowering import PER_AXIS_SOFTMAX
from quantize.graph.view import Graph

POOLS = ("AveragePool", "GlobalAveragePool")


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinear operator by DequantizeLinear, the float operator, and QuantizeLinear.

    Inputs of the node: X, X_scale, X_zero_point, Y_scale, Y_zero_point.
    """
    names = [*node.input, *[""] * (5 - len(node.input))]
    by_x, by_y = parameters(graph, names[1], names[2]), parameters(graph, names[3], names[4])
    kept = attributes(node, without=["channels_last"])
    if node.op_type == "QLinearSoftmax":
        opset = kept.pop("opset", graph.opset)
        kept.setdefault("axis", _softmax_axis(opset))
        if _softmax_axis(opset) != _softmax_axis(graph.opset):
            return False
    if by_x is None or by_y is None or attribute(node, "channels_last", 0):
        return False
    value = add_dequantize(graph, names[0], by_x)
    return replace_by_pattern(graph, node, node.op_type.removeprefix("QLinear"), [value], by_y, **kept)


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around a pool or activation by onnxruntime's QLinear operator."""
    x = pattern.inputs[0]
    if len(pattern.inputs) != 1 or x is None or not pattern.suits(x):
        return False
    kept = attributes(pattern.node, without=["dilations"])
    if any(size != 1 for size in attribute(pattern.node, "dilations", [])):
        return False
    if pattern.node.op_type in POOLS:
        kept["channels_last"] = 0
    if pattern.node.op_type == "Softmax":
        if pattern.bounds:
            return False
        kept = {"axis": attribute(pattern.node, "axis", _softmax_axis(graph.opset)), "opset": graph.opset}
    return replace_pattern(graph, pattern, f"QLinear{pattern.node.op_type}", [*x.names, *pattern.names], **kept)


def _softmax_axis(opset: int) -> int:
    """Return the default axis, which goes with the semantics: up to opset 12, all axes from it on together."""
    return -1 if opset >= PER_AXIS_SOFTMAX else 1
