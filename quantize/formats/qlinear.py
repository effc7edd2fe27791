"""Detect the format of a graph, and convert QDQ around float operators to integer operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from onnx import ModelProto, NodeProto

from quantize.formats.activation_bounds import clip_bounds
from quantize.formats.operators import FLOAT_OPERATORS, FLOAT_OUTPUTS, QLINEAR_OPERATORS, moving
from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.formats.qdq import canonical
from quantize.formats.qdq_pattern import constant_integers, qdq_pattern
from quantize.graph.nodes import DEFAULT_DOMAINS, WEIGHTED, is_op, moves_values
from quantize.graph.opsets.lowering import lower_to_12
from quantize.graph.view import Graph


def quantized_format(model: ModelProto) -> Literal["qlinear", "qdq", "mixed", "float"]:
    """Return the format of a model: that of its computing nodes, if any are quantized.

    ``mixed`` means that both integer operators and float operators on dequantized weights occur. A QuantizeLinear or
    DequantizeLinear between float and integer nodes is part of both formats.
    """
    graph = Graph(model)
    operators = any((node.domain, node.op_type) in QLINEAR_OPERATORS for node in graph.nodes)
    converts = any(is_quantize(node) or is_dequantize(node) for node in graph.nodes)
    pairs = any(
        is_op(node, *WEIGHTED)
        and any(
            (maker := graph.producer(name)) is not None
            and is_dequantize(maker)
            and graph.constant(maker.input[0]) is not None
            for name in node.input
        )
        for node in graph.nodes
    )
    if operators:
        return "mixed" if pairs else "qlinear"
    return "qdq" if converts else "float"


def to_qlinear(model: ModelProto, *, opset: int = 12, any_kernel: bool = False) -> ModelProto:
    """Return a model of integer operators (QLinearConv, QGemm, QLinearAdd ...) between quantized tensors.

    A node becomes an integer operator where all its data inputs are dequantized and its output is quantized and
    nothing else, and where the installed onnxruntime has a kernel for that; moving nodes work on the integers; every
    other node stays float between its DequantizeLinear and QuantizeLinear, with its weights in float32.

    Args:
        model: In any format.
        opset: 12 lowers a model of opset 13; a model of a higher opset keeps its own.
        any_kernel: Write operators that this onnxruntime has no kernel for, too.

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
        _convert(graph, node, any_kernel=any_kernel)
    _free_weights_of_float_nodes(graph)
    return graph.model()


def _convert(graph: Graph, node: NodeProto, *, any_kernel: bool) -> None:
    if node.domain not in DEFAULT_DOMAINS:
        return
    if moves_values(node):
        moving.to_qlinear(graph, node)
        return
    if clip_bounds(graph, node) is not None:
        moving.clip_to_qlinear(graph, node)
        return
    pattern = qdq_pattern(graph, node) if node.op_type in FLOAT_OPERATORS else None
    if pattern is not None:
        FLOAT_OPERATORS[node.op_type](graph, replace(pattern, any_kernel=any_kernel))
    elif node.op_type in FLOAT_OUTPUTS:
        FLOAT_OUTPUTS[node.op_type](graph, node)


def _free_weights_of_float_nodes(graph: Graph) -> None:
    """Turn dequantized initializers into float32 ones: the same values, without dequantizing them at every run."""
    for node in [node for node in graph.nodes if is_dequantize(node)]:
        weight = constant_integers(graph, node.output[0])
        if weight is not None and graph.consumers(node.output[0]):
            source, integers = weight
            graph.replace_uses(node.output[0], graph.add_constant(node.output[0], source.by.dequantize(integers)))
            graph.remove([node])
