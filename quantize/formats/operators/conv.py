"""Conv and QLinearConv (ONNX, opset 10; onnxruntime's own domain has it too)."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.bias import dequantize_bias, integer_bias
from quantize.formats.parameters import add_dequantize, parameters
from quantize.formats.qdq_pattern import QdqPattern, replace_by_pattern, replace_pattern
from quantize.graph.nodes import DEFAULT_DOMAIN, attribute, attributes
from quantize.graph.view import Graph

OUTPUT_CHANNELS = 0


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Replace a QLinearConv by DequantizeLinear on input, weight and bias, Conv, and QuantizeLinear.

    Inputs of the node: x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, bias int32 with
    scale ``x_scale * w_scale`` and zero point 0 (optional).
    """
    x, w = node.input[0], node.input[3]
    by_x = parameters(graph, node.input[1], node.input[2])
    by_w = parameters(graph, node.input[4], node.input[5], OUTPUT_CHANNELS)
    by_y = parameters(graph, node.input[6], node.input[7])
    if by_x is None or by_w is None or by_y is None or attribute(node, "channels_last", 0):
        return False
    inputs = [add_dequantize(graph, x, by_x), add_dequantize(graph, w, by_w)]
    if len(node.input) > 8 and node.input[8]:
        inputs.append(dequantize_bias(graph, node.input[8], by_x, by_w))
    return replace_by_pattern(graph, node, "Conv", inputs, by_y, **attributes(node, without=["channels_last"]))


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around a Conv by a QLinearConv. The weight must be constant, the bias constant or absent."""
    x, w = pattern.inputs[0], pattern.inputs[1]
    if x is None or w is None or x.by.axis is not None or w.by.axis not in (None, OUTPUT_CHANNELS):
        return False
    if graph.constant(w.integers) is None:
        return False
    inputs = [*x.names, *w.names, *pattern.names]
    if len(pattern.node.input) > 2 and pattern.node.input[2]:
        bias = integer_bias(graph, pattern.node.input[2], x.by, w.by)
        if bias is None:
            return False
        inputs.append(bias)
    return replace_pattern(graph, pattern, "QLinearConv", inputs, DEFAULT_DOMAIN, **attributes(pattern.node))
