"""Add, Mul and Where, and onnxruntime's QLinearAdd, QLinearMul and QLinearWhere."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, parameters
from quantize.formats.qdq_pattern import QdqPattern, replace_by_pattern, replace_pattern
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
    op_type = node.op_type.removeprefix("QLinear")
    return replace_by_pattern(graph, node, op_type, [*names[:first], *operands], by_y)


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around the float operator by onnxruntime's QLinear operator: all of one integer type."""
    node, first = pattern.node, _operands_from(pattern.node.op_type)
    operands = [operand for operand in pattern.inputs[first:] if operand is not None]
    if len(operands) != 2 or not all(pattern.suits(operand) for operand in operands):
        return False
    inputs = [*node.input[:first], *(name for operand in operands for name in operand.names), *pattern.names]
    return replace_pattern(graph, pattern, f"QLinear{node.op_type}", inputs)


def _operands_from(op_type: str) -> int:
    return 1 if op_type.endswith("Where") else 0
