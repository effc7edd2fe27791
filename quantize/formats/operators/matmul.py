"""MatMul and QLinearMatMul (ONNX, opset 10)."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.clipping import clip_integers
from quantize.formats.graph import Graph
from quantize.formats.parameters import add_dequantize, add_quantize, parameters
from quantize.formats.unit import Unit


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinearMatMul by DequantizeLinear on both inputs, MatMul, and QuantizeLinear.

    Inputs of the node: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point; the scale of b is
    per tensor or per column.
    """
    b = graph.constant(node.input[3])
    by_a = parameters(graph, node.input[1], node.input[2])
    by_b = parameters(graph, node.input[4], node.input[5], b.ndim - 1 if b is not None else None)
    by_y = parameters(graph, node.input[6], node.input[7])
    if by_a is None or by_b is None or by_y is None or (by_b.scale.ndim and b is None):
        return False
    inputs = [add_dequantize(graph, node.input[0], by_a), add_dequantize(graph, node.input[3], by_b)]
    output = graph.fresh(f"{node.output[0]}_float")
    graph.remove([node])
    graph.add("MatMul", inputs, [output], name=node.name)
    add_quantize(graph, output, by_y, node.output[0])
    return True


def to_qlinear(graph: Graph, unit: Unit) -> bool:
    """Replace the pattern around a MatMul by a QLinearMatMul."""
    a, b = unit.inputs
    if a is None or b is None or a.by.axis is not None:
        return False
    if b.by.axis is not None:
        values = graph.constant(b.integers)
        if values is None or b.by.axis not in (values.ndim - 1, -1):
            return False
    inputs = [a.integers, a.by.scale_name, a.by.zero_point_name, b.integers, b.by.scale_name, b.by.zero_point_name]
    inputs += [unit.by.scale_name, unit.by.zero_point_name]
    graph.remove(unit.replaced)
    output = clip_integers(graph, unit.bounds, unit.by, unit.integers)
    graph.add("QLinearMatMul", inputs, [output], name=unit.node.name)
    return True
