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
from onnx import ModelProto, TensorProto, helper, numpy_helper

_STORED, _SCALE, _CAST = "_stored", "_stored_scale", "_stored_cast"


@dataclass(frozen=True)
class StoredWeights:
    """One weight tensor as it is stored.

    Attributes:
        integers: int8, of the weights' shape.
        scales: float32, one value a channel, in a shape that broadcasts against the weights'.
    """

    integers: NDArray[np.int8]
    scales: NDArray[np.float32]

    @property
    def values(self) -> NDArray[np.float32]:
        """Return the weights that are computed with, float32."""
        values: NDArray[np.float32] = self.integers.astype(np.float32) * self.scales
        return values


def stored(weights: NDArray[np.float32], scales: NDArray[np.float32], axis: int | None) -> StoredWeights:
    """Return weights on the grid that these scales make, as int8.

    Args:
        weights: float32, on the grid or near it; levels beyond -127 and 127 are clipped.
        scales: float32 (channels,) or (1,).
        axis: The axis of the channels; None with one scale.
    """
    shape = [1] * weights.ndim
    if axis is not None:
        shape[axis] = -1
    spread = scales.reshape(shape).astype(np.float32)
    return StoredWeights(np.clip(np.rint(weights / spread), -127, 127).astype(np.int8), spread)


def store_weights(model: ModelProto, weights: Mapping[str, StoredWeights]) -> ModelProto:
    """Return a copy of ``model`` whose named initializers are stored in int8, behind a Cast and a Mul.

    Args:
        model: Any model.
        weights: By initializer.

    Raises:
        KeyError: There is no initializer of a name.
    """
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    missing = set(weights) - {tensor.name for tensor in graph.initializer}
    if missing:
        raise KeyError(f"no initializers: {', '.join(sorted(missing))}")
    kept = [tensor for tensor in graph.initializer if tensor.name not in weights]
    nodes = list(graph.node)
    added = []
    for name, found in sorted(weights.items()):
        kept += [
            numpy_helper.from_array(found.integers, name + _STORED),
            numpy_helper.from_array(found.scales, name + _SCALE),
        ]
        added += [
            helper.make_node("Cast", [name + _STORED], [name + _CAST], name + _CAST, to=TensorProto.FLOAT),
            helper.make_node("Mul", [name + _CAST, name + _SCALE], [name], name + _STORED),
        ]
    declared = [value for value in graph.input if value.name not in weights]
    for field, values in ((graph.initializer, kept), (graph.node, [*added, *nodes]), (graph.input, declared)):
        del field[:]
        field.extend(values)
    return result


def stored_initializers(model: ModelProto) -> dict[str, TensorProto]:
    """Return the weights that are stored in int8: by the float tensor that is computed with, the int8 initializer."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    found = {}
    for node in model.graph.node:
        cast = makers.get(node.input[0]) if node.op_type == "Mul" and len(node.input) == 2 else None
        if cast is None or cast.op_type != "Cast" or node.domain or cast.domain:
            continue
        integers, scales = constants.get(cast.input[0]), constants.get(node.input[1])
        if integers is None or scales is None:
            continue
        if integers.data_type == TensorProto.INT8 and scales.data_type == TensorProto.FLOAT:
            found[node.output[0]] = integers
    return found


def stored_layers(model: ModelProto) -> tuple[str, ...]:
    """Return the names of the layers that compute in fp32 on weights stored in int8, in the graph's order."""
    weights = stored_initializers(model)
    layers = ("Conv", "ConvTranspose", "Gemm", "MatMul")
    return tuple(
        node.name
        for node in model.graph.node
        if node.op_type in layers and len(node.input) > 1 and node.input[1] in weights
    )
