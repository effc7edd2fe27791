"""From a graph of integer operators to QuantizeLinear-DequantizeLinear around float operators."""

from __future__ import annotations

from onnx import ModelProto

from quantize.formats.clean import merge_duplicates, remove_idle
from quantize.formats.fusing import on_integers_where_not_fused
from quantize.formats.operators import QLINEAR_OPERATORS, concat, moving
from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.graph.nodes import DEFAULT_DOMAIN, MICROSOFT
from quantize.graph.opsets.raising import raise_graph
from quantize.graph.view import Graph

OPSET = 13
"""Of the canonical form at least: DequantizeLinear has an axis."""


def to_qdq(model: ModelProto, *, opset: int = OPSET) -> ModelProto:
    """Return a model in the QDQ format, at opset 13 or the model's own where that is higher.

    Scales, zero points, weights and biases are those of the given model. What onnxruntime does not fuse between a
    DequantizeLinear and a QuantizeLinear of equal parameters (SpaceToDepth, Concat) works on the integers, so that
    the format costs no time.

    Args:
        model: In any format: QLinear (QOperator), QDQ, or a mixture; of Neural Compressor or onnxruntime.
        opset: At least this; only 13, or what the model has, can be asked for.

    Raises:
        ModelError: A node cannot be expressed at opset 13.
        ValueError: The opset asked for is above both 13 and the model's.
    """
    graph = Graph(canonical(model))
    if opset > graph.opset:
        raise ValueError(f"cannot raise a quantized graph from opset {graph.opset} to {opset}")
    on_integers_where_not_fused(graph)
    return graph.model()


def canonical(model: ModelProto) -> ModelProto:
    """Return the form that rewrites work on: QDQ around every operator, moving ones too, at opset 13 or higher.

    Only integers with unknown meaning (those of a uint8 model input, before they are dequantized) are computed with.
    """
    graph = Graph(model)
    for node in graph.nodes:
        if node.domain == MICROSOFT and (is_quantize(node) or is_dequantize(node)):
            node.domain = DEFAULT_DOMAIN
    for node in graph.sorted_nodes():
        convert = QLINEAR_OPERATORS.get((node.domain, node.op_type))
        if convert is not None:
            convert(graph, node)
    for node in raise_graph(graph, OPSET):
        graph.renew(node)  # every conversion names what it changes anew; the names are part of recorded hashes
    remove_idle(graph)
    for node in graph.sorted_nodes():
        if moving.moves_values(node) or (node.op_type == "Clip" and not node.domain):
            moving.to_qdq(graph, node)
        elif node.op_type == "Concat" and not node.domain:
            concat.integers_to_qdq(graph, node)
    merge_duplicates(graph)
    return graph.model()
