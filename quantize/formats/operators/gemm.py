"""Gemm and onnxruntime's QGemm."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from quantize.formats.bias import dequantize_bias, integer_bias
from quantize.formats.kernels import has_kernel
from quantize.formats.parameters import add_dequantize, parameters
from quantize.formats.qdq_pattern import (
    QdqPattern,
    QuantizedInput,
    element_types,
    quantized_input,
    replace_by_pattern,
    replace_pattern,
)
from quantize.graph.nodes import MICROSOFT, attribute, attributes
from quantize.graph.view import Graph


def _output_channels(node: NodeProto) -> int:
    return 0 if attribute(node, "transB", 0) else 1


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QGemm by DequantizeLinear on A, B and C, Gemm, and QuantizeLinear if it has an output scale.

    Inputs of the node: A, a_scale, a_zero_point, B, b_scale, b_zero_point, C int32 with scale
    ``alpha * a_scale * b_scale`` (optional), y_scale, y_zero_point (optional: float output).
    """
    names = [*node.input, *[""] * (9 - len(node.input))]
    by_a = parameters(graph, names[1], names[2])
    by_b = parameters(graph, names[4], names[5], _output_channels(node))
    by_y = parameters(graph, names[7], names[8]) if names[7] else None
    if by_a is None or by_b is None or (names[7] and by_y is None):
        return False
    inputs = [add_dequantize(graph, names[0], by_a), add_dequantize(graph, names[3], by_b)]
    if names[6]:
        inputs.append(dequantize_bias(graph, names[6], by_a, by_b, attribute(node, "alpha", 1.0)))
    return replace_by_pattern(graph, node, "Gemm", inputs, by_y, **attributes(node))


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around a Gemm by a QGemm. ``beta`` must be 1 and the bias constant or absent."""
    inputs = _inputs(graph, pattern.node, pattern.inputs)
    if inputs is None:
        return False
    kept = attributes(pattern.node, without=["beta"])
    return replace_pattern(graph, pattern, "QGemm", [*inputs, *pattern.names], **kept)


def to_float_output(graph: Graph, node: NodeProto) -> bool:
    """Replace a Gemm on dequantized inputs, whose output is not quantized, by a QGemm with a float output."""
    inputs = _inputs(graph, node, [quantized_input(graph, name) for name in node.input])
    if inputs is None:
        return False
    inputs = inputs if inputs[-1] else inputs[:-1]
    kept = attributes(node, without=["beta"])
    types = element_types([quantized_input(graph, name) for name in node.input[:2]])
    if not has_kernel(graph, "QGemm", inputs, types, domain=MICROSOFT, **kept):
        return False
    graph.remove([node])
    graph.add("QGemm", inputs, list(node.output), name=node.name, domain=MICROSOFT, **kept)
    return True


def _inputs(graph: Graph, node: NodeProto, operands: Sequence[QuantizedInput | None]) -> list[str] | None:
    """Return the first seven inputs of the QGemm, the bias "" if it has none; None if it cannot be one."""
    a, b = operands[0], operands[1]
    if a is None or b is None or a.by.axis is not None or b.by.axis not in (None, _output_channels(node)):
        return None
    if attribute(node, "transA", 0) or graph.constant(b.integers) is None:
        return None
    bias: str | None = ""
    if len(node.input) > 2 and node.input[2]:
        if attribute(node, "beta", 1.0) != 1.0:
            return None
        bias = integer_bias(graph, node.input[2], a.by, b.by, attribute(node, "alpha", 1.0))
    if bias is None:
        return None
    return [*a.names, *b.names, bias]
