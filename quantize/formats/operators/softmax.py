"""Softmax and onnxruntime's QLinearSoftmax, whose attribute ``opset`` says which axis semantics it has."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, add_quantize, parameters
from quantize.formats.unit import Unit
from quantize.graph.nodes import MICROSOFT, attribute
from quantize.graph.opsets.lowering import PER_AXIS_SOFTMAX
from quantize.graph.view import Graph


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinearSoftmax of the graph's axis semantics by DequantizeLinear, Softmax, and QuantizeLinear.

    Inputs of the node: X, X_scale, x_zero_point, y_scale, y_zero_point.
    """
    by_x, by_y = (parameters(graph, node.input[at], node.input[at + 1]) for at in (1, 3))
    if by_x is None or by_y is None:
        return False
    opset = attribute(node, "opset", graph.opset)
    axis = attribute(node, "axis", -1 if opset >= PER_AXIS_SOFTMAX else 1)
    if (opset >= PER_AXIS_SOFTMAX) != (graph.opset >= PER_AXIS_SOFTMAX):
        return False
    value = add_dequantize(graph, node.input[0], by_x)
    output = graph.fresh(f"{node.output[0]}_float")
    graph.remove([node])
    graph.add("Softmax", [value], [output], name=node.name, axis=axis)
    add_quantize(graph, output, by_y, node.output[0])
    return True


def to_qlinear(graph: Graph, unit: Unit) -> bool:
    """Replace the pattern around a Softmax by onnxruntime's QLinearSoftmax."""
    x = unit.inputs[0]
    if x is None or x.by.axis is not None or x.by.zero_point.dtype != unit.by.zero_point.dtype or unit.bounds:
        return False
    inputs = [*x.names, unit.by.scale_name, unit.by.zero_point_name]
    axis = attribute(unit.node, "axis", -1 if graph.opset >= PER_AXIS_SOFTMAX else 1)
    graph.remove(unit.replaced)
    kept = {"axis": axis, "opset": graph.opset}
    graph.add("QLinearSoftmax", inputs, [unit.integers], name=unit.node.name, domain=MICROSOFT, **kept)
    return True
