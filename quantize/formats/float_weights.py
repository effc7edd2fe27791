"""Weights of fp32 layers in a quantized graph: stored in int8, and protected from being quantized.

A Cast and a Mul give stored weights their values. onnxruntime folds both when a session opens, so that the graph that
runs is the fp32 model's own, fused and blocked, and the file takes a quarter. A DequantizeLinear instead is not folded:
it runs with every inference.

When a session opens, onnxruntime's WeightBiasQuantization puts the float weights of a Conv or Gemm on int8, with one
scale for the whole tensor, wherever the input is dequantized with one scale and the output is quantized: a layer kept
in fp32 for its accuracy would be quantized worse than any other. It leaves alone what is dequantized by channel, so
such layers get their own DequantizeLinear with the same scale written once for every channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto

from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.graph.nodes import ACTIVATIONS, DEFAULT_DOMAIN, MICROSOFT, WEIGHTED, attribute
from quantize.graph.view import Graph

_QUANTIZED_BY_ITSELF = ("Conv", "ConvTranspose", "Gemm")
"""Layers that onnxruntime quantizes when a session opens."""


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights as levels of an int8 grid: ``levels * scales``.

    Attributes:
        levels: int8, of the weights' shape.
        scales: float32 (channels,), or (1,) for all channels.
        axis: The axis of the channels.
    """

    levels: NDArray[np.int8]
    scales: NDArray[np.float32]
    axis: int

    @property
    def aligned_scales(self) -> NDArray[np.float32]:
        """Return the scales in a shape that is multiplied with the levels as it is."""
        shape = [1] * self.levels.ndim
        shape[self.axis] = -1
        return self.scales.reshape(shape)

    @property
    def values(self) -> NDArray[np.float32]:
        """Return the weights that are computed with, float32."""
        values: NDArray[np.float32] = self.levels.astype(np.float32) * self.aligned_scales
        return values


Weights = NDArray[np.float32] | StoredWeights


def stored(weights: NDArray[np.float32], scales: NDArray[np.float32], axis: int) -> StoredWeights:
    """Return weights on the grid that these scales make, as int8.

    Args:
        weights: float32, on the grid or near it; levels beyond -127 and 127 are clipped.
        scales: float32 (channels,) or (1,).
        axis: The axis of the channels.
    """
    grid = StoredWeights(np.empty(weights.shape, np.int8), scales.astype(np.float32), axis)
    levels = np.clip(np.rint(weights / grid.aligned_scales), -127, 127).astype(np.int8)
    return StoredWeights(levels, grid.scales, axis)


def put_weights(graph: Graph, hint: str, weights: Weights) -> str:
    """Add weights to a graph and return the name of the float tensor that holds them."""
    if not isinstance(weights, StoredWeights):
        return graph.add_constant(hint, weights)
    levels = graph.add_constant(f"{hint}_stored", weights.levels)
    scales = graph.add_constant(f"{hint}_stored_scale", weights.aligned_scales)
    cast, product = graph.fresh(f"{hint}_stored_float"), graph.fresh(hint)
    graph.add("Cast", [levels], [cast], name=f"{hint}_Cast", to=TensorProto.FLOAT)
    graph.add("Mul", [cast, scales], [product], name=f"{hint}_Mul")
    return product


def with_weights(model: ModelProto, weights: Mapping[str, Weights]) -> ModelProto:
    """Return a model with other weights.

    Args:
        model: Any model.
        weights: By the name of the initializer that they take the place of.

    Raises:
        KeyError: There is no initializer of a name.
    """
    graph = Graph(model)
    missing = weights.keys() - set(graph.constants)
    if missing:
        raise KeyError(f"no initializers: {', '.join(sorted(missing))}")
    for name, given in weights.items():
        graph.replace_uses(name, put_weights(graph, f"{name}_weights", given))
    return graph.model()


def stored_layers(model: ModelProto) -> tuple[str, ...]:
    """Return the names of the layers that compute in fp32 on weights stored in int8, in the graph's order."""
    graph = Graph(model)
    layers = [node for node in graph.nodes if node.op_type in WEIGHTED and len(node.input) > 1]
    return tuple(node.name for node in layers if graph.stored_weights(node.input[1]) is not None)


def guard_float_layers(model: ModelProto) -> tuple[str, ...]:
    """Change ``model`` so that its float layers stay float when a session opens.

    Works on both formats. Below opset 13, where DequantizeLinear knows no channels, onnxruntime's own is used.

    Returns:
        The names of the layers that needed it.
    """
    graph = Graph(model)
    guarded = []
    for node in [node for node in graph.nodes if node.op_type in _QUANTIZED_BY_ITSELF]:
        weights = _float_weights(graph, node.input[1])
        dequantize = graph.producer(node.input[0]) if weights is not None else None
        if weights is None or dequantize is None or not is_dequantize(dequantize):
            continue
        scale = graph.constant(dequantize.input[1])
        if scale is not None and scale.size == 1 and _is_quantized_next(graph, node):
            _dequantize_by_channel(graph, node, dequantize, _input_channels(node, weights.dims))
            guarded.append(node.name)
    if guarded:
        model.CopyFrom(graph.model())
    return tuple(guarded)


def _float_weights(graph: Graph, name: str) -> TensorProto | None:
    """Return the tensor that holds the weights of a layer that computes on floats: fp32, or stored in int8."""
    weights = graph.tensor(name)
    if weights is not None and weights.data_type == TensorProto.FLOAT:
        return weights
    stored_weights = graph.stored_weights(name)
    return stored_weights[0] if stored_weights is not None else None


def _is_quantized_next(graph: Graph, node: NodeProto) -> bool:
    readers = graph.consumers(node.output[0])
    if len(readers) != 1:
        return False
    return is_quantize(readers[0]) or (readers[0].op_type in ACTIVATIONS and _is_quantized_next(graph, readers[0]))


def _dequantize_by_channel(graph: Graph, node: NodeProto, dequantize: NodeProto, channels: int) -> None:
    inputs = [dequantize.input[0]]
    for name in dequantize.input[1:]:
        values = graph.constant(name)
        assert values is not None
        inputs.append(graph.add_constant(f"{name}:{node.name}", np.full(channels, values.reshape(()))))
    output = f"{dequantize.output[0]}:{node.name}"
    domain = dequantize.domain or (MICROSOFT if graph.opset < 13 else DEFAULT_DOMAIN)
    name = f"{dequantize.name}:{node.name}"
    graph.add("DequantizeLinear", inputs, [output], name=name, domain=domain, before=node, axis=1)
    graph.set_input(node, 0, output)


def _input_channels(node: NodeProto, dims: Sequence[int]) -> int:
    if node.op_type == "Gemm":
        return int(dims[1] if attribute(node, "transB", 0) else dims[0])
    return int(dims[0] if node.op_type == "ConvTranspose" else dims[1] * attribute(node, "group", 1))
