"""MatMul, QLinearMatMul (ONNX, opset 10) and onnxruntime's MatMulIntegerToFloat, whose output is float."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from quantize.formats.kernels import has_kernel
from quantize.formats.parameters import Parameters, add_dequantize, parameters
from quantize.formats.qdq_pattern import (
    QdqPattern,
    QuantizedInput,
    element_types,
    quantized_input,
    replace_by_pattern,
    replace_pattern,
)
from quantize.graph.nodes import DEFAULT_DOMAIN, MICROSOFT, is_op
from quantize.graph.view import Graph


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinearMatMul by DequantizeLinear on both inputs, MatMul, and QuantizeLinear.

    Inputs of the node: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point; the scale of b is
    per tensor or per column.
    """
    by_a = parameters(graph, node.input[1], node.input[2])
    by_b = _columns(graph, node.input[3], node.input[4], node.input[5])
    by_y = parameters(graph, node.input[6], node.input[7])
    if by_a is None or by_b is None or by_y is None:
        return False
    inputs = [add_dequantize(graph, node.input[0], by_a), add_dequantize(graph, node.input[3], by_b)]
    return replace_by_pattern(graph, node, "MatMul", inputs, by_y)


def float_output_to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a MatMulIntegerToFloat by DequantizeLinear on both inputs, MatMul, and Add if it has a bias.

    Inputs of the node: A, B, a_scale, b_scale, a_zero_point, b_zero_point, bias float32 (the last three optional).
    """
    names = [*node.input, *[""] * (7 - len(node.input))]
    by_a, by_b = parameters(graph, names[2], names[4]), _columns(graph, names[1], names[3], names[5])
    if by_a is None or by_b is None:
        return False
    inputs = [add_dequantize(graph, names[0], by_a), add_dequantize(graph, names[1], by_b)]
    graph.remove([node])
    product = graph.fresh(f"{node.output[0]}_product") if names[6] else node.output[0]
    graph.add("MatMul", inputs, [product], name=node.name)
    if names[6]:
        graph.add("Add", [product, names[6]], [node.output[0]], name=f"{node.name}_bias")
    return True


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around a MatMul by a QLinearMatMul."""
    operands = _operands(graph, pattern.inputs)
    if operands is None:
        return False
    inputs = [*operands[0].names, *operands[1].names, *pattern.names]
    return replace_pattern(graph, pattern, "QLinearMatMul", inputs, DEFAULT_DOMAIN)


def to_float_output(graph: Graph, node: NodeProto) -> bool:
    """Replace a MatMul on dequantized inputs, whose output is not quantized, by a MatMulIntegerToFloat.

    A bias that alone reads it is added on the way out: as a node of its own it is another pass over all values, and
    keeps onnxruntime from the faster one of its two Gelus.
    """
    operands = _operands(graph, [quantized_input(graph, name) for name in node.input])
    if operands is None or any(operand.by.zero_point.dtype.itemsize != 1 for operand in operands):
        return False
    a, b = (operand.names for operand in operands)
    inputs = [name for pair in zip(a, b, strict=True) for name in pair]
    if not has_kernel(graph, "MatMulIntegerToFloat", inputs, element_types(operands), domain=MICROSOFT):
        return False
    add = _bias(graph, node)
    graph.remove([node])
    if add is None:
        graph.add("MatMulIntegerToFloat", inputs, list(node.output), name=node.name, domain=MICROSOFT)
    else:
        bias, adder = add
        graph.remove([adder])
        graph.add("MatMulIntegerToFloat", [*inputs, bias], list(adder.output), name=node.name, domain=MICROSOFT)
    return True


def _bias(graph: Graph, node: NodeProto) -> tuple[str, NodeProto] | None:
    """Return a constant with a number for each column, and the Add of it that alone reads a product with constants."""
    source, add = quantized_input(graph, node.input[1]), graph.sole_consumer(node.output[0])
    weights = graph.constant(source.integers) if source is not None else None
    if weights is None or weights.ndim < 2 or add is None or not is_op(add, "Add") or add.input[0] == add.input[1]:
        return None
    name = add.input[1] if add.input[0] == node.output[0] else add.input[0]
    values = graph.constant(name)
    if values is None or values.dtype != np.float32 or values.shape != (weights.shape[-1],):
        return None
    return name, add


def _columns(graph: Graph, b: str, scale_name: str, zero_point_name: str) -> Parameters | None:
    """Return the parameters of the right operand, per tensor or per column; those need it to be constant."""
    values = graph.constant(b)
    by = parameters(graph, scale_name, zero_point_name, values.ndim - 1 if values is not None else None)
    return None if by is None or (by.scale.ndim and values is None) else by


def _operands(graph: Graph, operands: Sequence[QuantizedInput | None]) -> tuple[QuantizedInput, QuantizedInput] | None:
    a, b = operands
    if a is None or b is None or a.by.axis is not None:
        return None
    if b.by.axis is not None:
        values = graph.constant(b.integers)
        if values is None or b.by.axis not in (values.ndim - 1, -1):
            return None
    return a, b
