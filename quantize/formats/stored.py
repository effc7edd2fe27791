"""Weights that are stored in int8 and computed in fp32.

A Cast and a Mul give them their values. onnxruntime folds both when a session opens, so that the graph that runs is the
fp32 model's own, fused and blocked, and the file takes a quarter. A DequantizeLinear in their place is not folded: it
runs with every inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from quantize.graph.view import Graph

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


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


def stored_initializers(model: ModelProto) -> dict[str, TensorProto]:
    """Return the weights that are stored in int8: by the float tensor that is computed with, the int8 initializer."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    found = {}
    for node in model.graph.node:
        cast = makers.get(node.input[0]) if node.op_type == "Mul" and len(node.input) == 2 else None
        if cast is None or cast.op_type != "Cast" or node.domain or cast.domain:
            continue
        levels, scales = constants.get(cast.input[0]), constants.get(node.input[1])
        if levels is None or scales is None:
            continue
        if levels.data_type == TensorProto.INT8 and scales.data_type == TensorProto.FLOAT:
            found[node.output[0]] = levels
    return found


def stored_layers(model: ModelProto) -> tuple[str, ...]:
    """Return the names of the layers that compute in fp32 on weights stored in int8, in the graph's order."""
    weights = stored_initializers(model)
    return tuple(
        node.name
        for node in model.graph.node
        if node.op_type in _LAYERS and len(node.input) > 1 and node.input[1] in weights
    )
