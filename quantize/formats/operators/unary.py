"""Pools and activations of one input, and onnxruntime's QLinear operators of the same names."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.clipping import clip_integers
from quantize.formats.parameters import add_dequantize, add_quantize, parameters
from quantize.formats.unit import Unit
from quantize.graph.nodes import MICROSOFT, attribute, attributes
from quantize.graph.view import Graph

POOLS = ("AveragePool", "GlobalAveragePool")


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinear operator by DequantizeLinear, the float operator, and QuantizeLinear.

    Inputs of the node: X, X_scale, X_zero_point, Y_scale, Y_zero_point.
    """
    names = [*node.input, *[""] * (5 - len(node.input))]
    by_x, by_y = parameters(graph, names[1], names[2]), parameters(graph, names[3], names[4])
    if by_x is None or by_y is None or attribute(node, "channels_last", 0):
        return False
    value = add_dequantize(graph, names[0], by_x)
    output = graph.fresh(f"{node.output[0]}_float")
    graph.remove([node])
    kept = attributes(node, without=["channels_last"])
    graph.add(node.op_type.removeprefix("QLinear"), [value], [output], name=node.name, **kept)
    add_quantize(graph, output, by_y, node.output[0])
    return True


def to_qlinear(graph: Graph, unit: Unit) -> bool:
    """Replace the pattern around a pool or activation by onnxruntime's QLinear operator."""
    x = unit.inputs[0]
    if len(unit.inputs) != 1 or x is None or x.by.axis is not None or x.by.zero_point.dtype != unit.by.zero_point.dtype:
        return False
    kept = attributes(unit.node, without=["dilations"])
    if any(size != 1 for size in attribute(unit.node, "dilations", [])):
        return False
    if unit.node.op_type in POOLS:
        kept["channels_last"] = 0
    inputs = [*x.names, unit.by.scale_name, unit.by.zero_point_name]
    graph.remove(unit.replaced)
    output = clip_integers(graph, unit.bounds, unit.by, unit.integers)
    graph.add(f"QLinear{unit.node.op_type}", inputs, [output], name=unit.node.name, domain=MICROSOFT, **kept)
    return True
