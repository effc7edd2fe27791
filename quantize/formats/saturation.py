"""Layers whose integer products can saturate on CPUs without VNNI.

Without VNNI, onnxruntime multiplies uint8 activations and int8 weights with VPMADDUBSW, which adds two neighbouring
products in 16 bits. Source: onnxruntime's documentation, "Quantize ONNX models", on data types and reduce_range.
Depthwise layers have a kernel of their own that adds in 32 bits, and uint8 weights go through VPMADDWD, which does too.
So does generic code for int8 activations, but only QLinear files have those: in QDQ files onnxruntime makes them uint8
when a session opens on x86 (its transformer QDQS8ToU8).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from quantize.formats.parameters import node_parameters
from quantize.formats.qdq import canonical
from quantize.formats.qdq_pattern import dequantize_behind
from quantize.graph.nodes import INTEGER_WEIGHTED, attribute
from quantize.graph.view import Graph

_HIGHEST, _LOWEST = 32767, -32768
_LARGEST_ACTIVATION = 255


def saturating_layers(model: ModelProto) -> tuple[str, ...]:
    """Return the names of the layers that some input could saturate, in the graph's order.

    For a layer that is not among them, the two largest weights of one sign in each output channel, times the largest
    activation, stay within 16 bits; so does every pair, in whatever order the kernels lay the weights out.

    Args:
        model: A quantized model in either format.
    """
    graph = Graph(canonical(model))
    in_qdq = {node.name for node in model.graph.node if node.op_type in INTEGER_WEIGHTED}
    return tuple(node.name for node in graph.sorted_nodes() if _can_saturate(graph, node, signed=node.name in in_qdq))


def can_saturate(rows: NDArray[np.integer[Any]]) -> bool:
    """Return whether two products of uint8 activations and these int8 weights can leave 16 bits.

    Args:
        rows: (output channels, inputs of one of them).
    """
    if rows.shape[1] < 2 or not len(rows):
        return False
    ordered = np.partition(rows, (1, rows.shape[1] - 2), axis=1)
    most = np.maximum(ordered[:, -2:], 0).sum(axis=1, dtype=np.int32).max() * _LARGEST_ACTIVATION
    least = np.minimum(ordered[:, :2], 0).sum(axis=1, dtype=np.int32).min() * _LARGEST_ACTIVATION
    return bool(most > _HIGHEST or least < _LOWEST)


def weights_can_saturate(node: NodeProto, values: NDArray[np.integer[Any]], *, moved: bool = False) -> bool:
    """Return whether two products of uint8 activations and a layer's int8 weights can leave 16 bits.

    Args:
        node: A convolution or a matrix product, on floats or on integers.
        values: int8, its weights.
        moved: Whether nodes move them before the layer takes them: any two may meet then, or one twice.
    """
    if moved:
        ends = [values.max(initial=0)] * 2 + [values.min(initial=0)] * 2
        return can_saturate(np.array([ends], values.dtype))
    if node.op_type.endswith(("Conv", "ConvInteger")):
        depthwise = is_depthwise(values.shape, attribute(node, "group", 1))
        return not depthwise and can_saturate(values.reshape(len(values), -1))
    transposed = node.op_type.endswith("Gemm") and attribute(node, "transB", 0)
    across = values if transposed or values.ndim < 2 else np.moveaxis(values, -2, -1)
    return can_saturate(across.reshape(-1, across.shape[-1]))


def is_depthwise(shape: tuple[int, ...], group: int) -> bool:
    """Return whether a Conv has one input and one output channel a group.

    Args:
        shape: Of its weights, (output channels, input channels of a group, height, width).
        group: Its groups.
    """
    return len(shape) > 1 and group == shape[0] and shape[1] == 1


def _can_saturate(graph: Graph, node: NodeProto, *, signed: bool) -> bool:
    """Return whether a layer can saturate, also where its activations are int8 if ``signed``."""
    if node.op_type not in INTEGER_WEIGHTED or len(node.input) < 2:
        return False
    activations, weights = (dequantize_behind(graph, name) for name in node.input[:2])
    if activations is None or weights is None:
        return False
    kinds = (np.uint8, np.int8) if signed else (np.uint8,)
    types = [by.zero_point.dtype for by in (node_parameters(graph, activations), node_parameters(graph, weights)) if by]
    if len(types) < 2 or types[0] not in kinds or types[1] != np.int8:
        return False
    values = graph.constant(weights.input[0])
    if values is None:  # weights that only the input decides
        return True
    return weights_can_saturate(node, values, moved=graph.producer(node.input[1]) is not weights)
