"""From QuantizeLinear-DequantizeLinear around float operators to a graph of integer operators."""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from quantize.formats.clipping import clip_bounds
from quantize.formats.operators import FLOAT_OPERATORS, FLOAT_OUTPUTS, clip, moving
from quantize.formats.parameters import is_dequantize, node_parameters
from quantize.formats.qdq import canonical
from quantize.formats.unit import unit_of
from quantize.graph.opsets.lowering import lower_to_12
from quantize.graph.view import Graph


def to_qlinear(model: ModelProto, *, opset: int = 12) -> ModelProto:
    """Return a model of integer operators (QLinearConv, QGemm, QLinearAdd ...) between quantized tensors.

    A node becomes an integer operator where all its data inputs are dequantized and its output is quantized and
    nothing else; moving nodes work on the integers; every other node stays float between its DequantizeLinear and
    QuantizeLinear, with its weights in float32.

    Args:
        model: In any format.
        opset: 12 lowers a model of opset 13; a model of a higher opset keeps its own.

    Raises:
        ModelError: A node of opset 13 cannot be expressed at opset 12.
        ValueError: The opset asked for is above the model's.
    """
    graph = Graph(canonical(model))
    if opset > graph.opset:
        raise ValueError(f"cannot raise a quantized graph from opset {graph.opset} to {opset}")
    if opset < 13 and graph.opset == 13:
        lower_to_12(graph)
    for node in graph.sorted_nodes():
        _convert(graph, node)
    _free_weights_of_float_nodes(graph)
    return graph.model()


def _convert(graph: Graph, node: NodeProto) -> None:
    if node.domain:
        return
    if moving.moves_values(node):
        moving.to_qlinear(graph, node)
        return
    if clip_bounds(graph, node) is not None:
        clip.to_qlinear(graph, node)
        return
    unit = unit_of(graph, node) if node.op_type in FLOAT_OPERATORS else None
    if unit is not None:
        FLOAT_OPERATORS[node.op_type](graph, unit)
    elif node.op_type in FLOAT_OUTPUTS:
        FLOAT_OUTPUTS[node.op_type](graph, node)


def _free_weights_of_float_nodes(graph: Graph) -> None:
    """Turn dequantized initializers into float32 ones: the same values, without dequantizing them at every run."""
    for node in [node for node in graph.nodes if is_dequantize(node)]:
        integers = graph.constant(node.input[0])
        by = node_parameters(graph, node) if integers is not None else None
        if integers is not None and by is not None and graph.consumers(node.output[0]):
            weights = graph.add_constant(node.output[0], by.dequantize(integers))
            graph.replace_uses(node.output[0], weights)
            graph.remove([node])
