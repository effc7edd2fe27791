"""Add and Mul, and onnxruntime's QLinearAdd and QLinearMul."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.clipping import clip_integers
from quantize.formats.parameters import add_dequantize, add_quantize, parameters
from quantize.formats.unit import QuantizedInput, Unit
from quantize.graph.nodes import MICROSOFT
from quantize.graph.view import Graph


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinearAdd or QLinearMul by two DequantizeLinear, Add or Mul, and QuantizeLinear.

    Inputs of the node: A, A_scale, A_zero_point, B, B_scale, B_zero_point, C_scale, C_zero_point (optional).
    """
    names = [*node.input, *[""] * (8 - len(node.input))]
    by_a, by_b, by_y = (parameters(graph, names[at], names[at + 1]) for at in (1, 4, 6))
    if by_a is None or by_b is None or by_y is None:
        return False
    inputs = [add_dequantize(graph, names[0], by_a), add_dequantize(graph, names[3], by_b)]
    output = graph.fresh(f"{node.output[0]}_float")
    graph.remove([node])
    graph.add(node.op_type.removeprefix("QLinear"), inputs, [output], name=node.name)
    add_quantize(graph, output, by_y, node.output[0])
    return True


def to_qlinear(graph: Graph, unit: Unit) -> bool:
    """Replace the pattern around an Add or Mul by onnxruntime's QLinearAdd or QLinearMul: all of one integer type."""
    operands = [operand for operand in unit.inputs if operand is not None]
    if len(operands) != 2 or any(not _fits(operand, unit) for operand in operands):
        return False
    inputs = [name for one in operands for name in one.names]
    inputs += [unit.by.scale_name, unit.by.zero_point_name]
    graph.remove(unit.replaced)
    output = clip_integers(graph, unit.bounds, unit.by, unit.integers)
    graph.add(f"QLinear{unit.node.op_type}", inputs, [output], name=unit.node.name, domain=MICROSOFT)
    return True


def _fits(operand: QuantizedInput, unit: Unit) -> bool:
    return operand.by.axis is None and operand.by.zero_point.dtype == unit.by.zero_point.dtype
