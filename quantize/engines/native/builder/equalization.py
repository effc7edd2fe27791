"""Cross-layer equalization: scales channels to similar ranges without changing the function.

M. Nagel et al., ICCV 2019, section 4.1: a Relu lets a positive factor through, so a channel may be divided by a
factor in the layer that makes it and multiplied by it in those that take it. With ``r1`` and ``r2`` the greatest
weights of the channel on either side, the factor ``sqrt(r1 / r2)`` makes both sides alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from quantize.engines.native.builder.constants import Constants
from quantize.engines.native.builder.homogeneous import is_homogeneous
from quantize.engines.native.builder.layers import Layer, layers
from quantize.graph.shell import without_constants
from quantize.graph.view import Graph

_SWEEPS = 3


@dataclass(frozen=True)
class Pair:
    """A layer and those that take its output, through nothing but homogeneous ops.

    Attributes:
        producer: The Conv whose output channels are scaled.
        consumers: The Convs whose input channels are scaled back.
    """

    producer: Layer
    consumers: tuple[Layer, ...]


def equalized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same function with the weights of neighbouring Convs equalized; unchanged if there are none."""
    result, constants = without_constants(model), Constants.of(model)
    pairs = list(equalizable(model))
    changed = [layer for pair in pairs for layer in (pair.producer, *pair.consumers)]
    taken = {name for layer in changed for name in (layer.weight, layer.bias)}
    weights = {name: constants.values_of(name).copy() for name in constants if name in taken}
    for _ in range(_SWEEPS):
        for pair in pairs:
            _equalize(pair, weights)
    for pair in pairs:
        for layer in (pair.producer, *pair.consumers):
            constants.replace(layer.weight, weights[layer.weight])
        if pair.producer.bias is not None:
            constants.replace(pair.producer.bias, weights[pair.producer.bias])
    result.graph.initializer.extend(constants.values())
    return result


def equalizable(model: onnx.ModelProto) -> Iterator[Pair]:
    """Yield the pairs of ``model``, in the graph's order."""
    convs = _Convs(model)
    nodes = {node.name: node for node in model.graph.node}
    for layer in convs.layers.values():
        behind = convs.taking(layer.output)
        has_own_bias = layer.bias is not None or len(nodes[layer.node].input) < 3
        if behind and has_own_bias:
            yield Pair(layer, tuple(behind))


class _Convs:
    """The Convs of a model, and which of them take a tensor."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = Graph.of(model)
        self.layers = {layer.node: layer for layer in layers(model) if layer.op_type == "Conv"}
        self._dims = {tensor.name: tensor.dims for tensor in model.graph.initializer}

    def taking(self, tensor: str) -> list[Layer] | None:
        """Return the Convs that take a tensor, or None if anything else does."""
        if self._graph.is_output(tensor):
            return None
        taking: list[Layer] = []
        for node in self._graph.consumers(tensor):
            if is_homogeneous(node):
                behind = self.taking(node.output[0])
                if behind is None:
                    return None
                taking += behind
                continue
            layer = self.layers.get(node.name)
            if layer is None or layer.input != tensor or not self._is_scalable(layer):
                return None
            taking.append(layer)
        return taking

    def _is_scalable(self, layer: Layer) -> bool:
        """Return whether each input channel of a Conv has weights of its own: without groups, or depthwise."""
        shape = self._dims[layer.weight]
        return layer.group == 1 or (layer.group == shape[0] and shape[1] == 1)


def _equalize(pair: Pair, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    made = weights[pair.producer.weight]
    own = np.abs(made.reshape(len(made), -1)).max(axis=1)
    taken = np.max([_by_input(weights[layer.weight], layer) for layer in pair.consumers], axis=0)
    usable = (own > 0) & (taken > 0)
    factors = np.where(usable, np.sqrt(own / np.where(usable, taken, 1.0)), 1.0)
    # A power of two changes no mantissa: the equalized model is the same function to the last bit.
    factors = np.exp2(np.rint(np.log2(np.clip(factors, 1e-3, 1e3)))).astype(np.float32)
    made /= factors.reshape(-1, *[1] * (made.ndim - 1))
    if pair.producer.bias is not None:
        weights[pair.producer.bias] = weights[pair.producer.bias] / factors
    for layer in pair.consumers:
        taken_by = weights[layer.weight]
        weights[layer.weight] = np.moveaxis(np.moveaxis(taken_by, _inputs(layer), -1) * factors, -1, _inputs(layer))


def _by_input(weights: npt.NDArray[np.float32], layer: Layer) -> npt.NDArray[np.float32]:
    """Return (input channels,), the greatest weight applied to each."""
    by_input = np.moveaxis(weights, _inputs(layer), 0)
    greatest: npt.NDArray[np.float32] = np.abs(by_input.reshape(len(by_input), -1)).max(axis=1)
    return greatest


def _inputs(layer: Layer) -> int:
    """Return the axis of a Conv's weights that is that of its input channels: depthwise, that of the outputs too."""
    return 0 if layer.group > 1 else 1
