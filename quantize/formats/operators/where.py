"""Where and onnxruntime's QLinearWhere."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.clipping import clip_integers
from quantize.formats.parameters import add_dequantize, add_quantize, parameters
from quantize.formats.unit import Unit
from quantize.graph.nodes import MICROSOFT
from quantize.graph.view import Graph


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinearWhere by DequantizeLinear on both branches, Where, and QuantizeLinear.

    Inputs of the node: condition, X, x_scale, x_zero_point, Y, y_scale, y_zero_point, z_scale, z_zero_point.
    """
    by_x, by_y, by_z = (parameters(graph, node.input[at], node.input[at + 1]) for at in (2, 5, 7))
    if by_x is None or by_y is None or by_z is None:
        return False
    branches = [add_dequantize(graph, node.input[1], by_x), add_dequantize(graph, node.input[4], by_y)]
    output = graph.fresh(f"{node.output[0]}_float")
    graph.remove([node])
    graph.add("Where", [node.input[0], *branches], [output], name=node.name)
    add_quantize(graph, output, by_z, node.output[0])
    return True


def to_qlinear(graph: Graph, unit: Unit) -> bool:
    """Replace the pattern around a Where by onnxruntime's QLinearWhere: all of one integer type."""
    branches = [branch for branch in unit.inputs[1:] if branch is not None]
    kind = unit.by.zero_point.dtype
    if len(branches) != 2 or any(b.by.axis is not None or b.by.zero_point.dtype != kind for b in branches):
        return False
    inputs = [unit.node.input[0]]
    inputs += [name for one in branches for name in one.names]
    inputs += [unit.by.scale_name, unit.by.zero_point_name]
    graph.remove(unit.replaced)
    output = clip_integers(graph, unit.bounds, unit.by, unit.integers)
    graph.add("QLinearWhere", inputs, [output], name=unit.node.name, domain=MICROSOFT)
    return True
