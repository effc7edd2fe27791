"""Add, Mul and Where, and onnxruntime's QLinearAdd, QLinearMul and QLinearWhere."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, add_quantize, parameters
from quantize.formats.qdq_pattern import QdqPattern, clip_integers
from quantize.graph.nodes import MICROSOFT
from quantize.graph.view import Graph


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace the operator by DequantizeLinear on both operands, the float operator, and QuantizeLinear.

    Inputs of the node: the condition of a Where, then A, A_scale, A_zero_point, B, B_scale, B_zero_point, C_scale and
    C_zero_point (optional but for Where).
    """
    first = _operands_from(node.op_type)
    names = [*node.input, *[""] * (first + 8 - len(node.input))]
    by_a, by_b, by_y = (parameters(graph, names[first + at], names[first + at + 1]) for at in (1, 4, 6))
    if by_a is None or by_b is None or by_y is None:
        return False
    operands = [add_dequantize(graph, names[first], by_a), add_dequantize(graph, names[first + 3], by_b)]
    output = graph.fresh(f"{node.output[0]}_float")
    graph.remove([node])
    graph.add(node.op_type.removeprefix("QLinear"), [*names[:first], *operands], [output], name=node.name)
    add_quantize(graph, output, by_y, node.output[0])
    return True


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around the float operator by onnxruntime's QLinear operator: all of one integer type."""
    node, first = pattern.node, _operands_from(pattern.node.op_type)
    operands = [operand for operand in pattern.inputs[first:] if operand is not None]
    if len(operands) != 2 or not all(pattern.suits(operand) for operand in operands):
        return False
    inputs = [*node.input[:first], *(name for operand in operands for name in operand.names), *pattern.names]
    graph.remove(pattern.replaced)
    output = clip_integers(graph, pattern.bounds, pattern.by, pattern.integers)
    graph.add(f"QLinear{node.op_type}", inputs, [output], name=node.name, domain=MICROSOFT)
    return True


def _operands_from(op_type: str) -> int:
    return 1 if op_type.endswith("Where") else 0
