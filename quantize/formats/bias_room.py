"""Room for biases: int32 in units of the input's scale times the weights', which tiny weights make too small.

Neural Compressor lets such a bias overflow: a channel of weights of 1e-8, dead behind its Relu, comes out with any
value. A larger scale costs weights that were nothing beside the bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from quantize.formats.bias import add_bias
from quantize.formats.parameters import Parameters, add_dequantize, new_parameters
from quantize.formats.qdq import canonical, to_qdq
from quantize.formats.qdq_pattern import constant_integers, quantized_input
from quantize.formats.twins import twins
from quantize.graph.nodes import is_op
from quantize.graph.view import Graph
from quantize.grid.grid import Grid

_ROOM = 4.0
_INT32 = float(2**31 - 1)
_BIAS = 2


def least_weight_scale(bias: NDArray[Any], input_scale: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the least scale of weights, by channel, at which a bias takes a quarter of 32 bits."""
    least: NDArray[np.float64] = np.abs(bias).astype(np.float64) * _ROOM / _INT32 / input_scale
    return least


def with_room_for_biases(model: ModelProto, fp32: ModelProto) -> ModelProto:
    """Return a quantized model with larger scales for weights whose bias does not fit in 32 bits with room to spare.

    Args:
        model: As a quantizer made it of the fp32 model, in any format, its nodes named after those that they compute.
        fp32: The model that it was made of: weights and biases are rounded again from its own.

    Returns:
        The model itself where every bias has room, else one in the QDQ format.
    """
    graph, reference = Graph(canonical(model)), Graph.of(fp32)
    named = {node.name: node for node in reference.nodes}
    origins = twins(reference, graph.nodes)
    layers = [node for node in graph.sorted_nodes() if is_op(node, "Conv", "Gemm") and node.name in origins]
    changed = [_widened(graph, node, reference, named[origins[node.name]]) for node in layers]
    return to_qdq(graph.model()) if any(changed) else model


def _widened(graph: Graph, node: NodeProto, reference: Graph, origin: NodeProto) -> bool:
    if len(node.input) <= _BIAS or len(origin.input) <= _BIAS:
        return False
    x, weight, bias = (
        quantized_input(graph, node.input[0]),
        constant_integers(graph, node.input[1]),
        constant_integers(graph, node.input[_BIAS]),
    )
    own, values = (reference.constant(name) for name in origin.input[1 : _BIAS + 1])
    if x is None or x.by.axis is not None or weight is None or bias is None or own is None or values is None:
        return False
    by, integers = weight[0].by, weight[1]
    if own.shape != integers.shape or values.shape != bias[1].shape or bias[1].dtype != np.int32:
        return False
    least = least_weight_scale(values, x.by.scale)
    scale = np.maximum(by.scale, least if by.scale.ndim else least.max()).astype(np.float32)
    if not (scale > by.scale).any():
        return False
    new = new_parameters(graph, f"{node.name}_roomy", scale, by.zero_point, by.axis)
    name = graph.add_constant(f"{node.name}_roomy_weight", _rounded(own, integers, by, new))
    graph.set_input(node, 1, add_dequantize(graph, name, new))
    graph.set_input(node, _BIAS, add_bias(graph, f"{node.name}_roomy_bias", values, x.by, new))
    return True


def _rounded(values: NDArray[Any], integers: NDArray[Any], old: Parameters, new: Grid) -> NDArray[Any]:
    """Return weights on a new grid: their own integers where their channel's scale is the same."""
    shape = [1] * integers.ndim
    if old.axis is not None:
        shape[old.axis] = -1
    result: NDArray[Any] = np.where((old.scale == new.scale).reshape(shape), integers, new.quantize(values))
    return result
