"""Which normalizations can be smoothed: those that only products with constant weights read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from quantize.engines.native.builder.layers import Layer, layers
from quantize.graph.nodes import attribute, is_op
from quantize.graph.shapes import Shape, inferred_shapes
from quantize.graph.view import Graph


@dataclass(frozen=True)
class Smoothable:
    """A normalization that only products with constant weights read.

    Attributes:
        tensor: Its output, the channels last.
        parameters: (node, input): its scale, and its bias if it has one; (channels,) each, or one channel axis.
        products: The products that read it, each with the axis of its weights' inputs.
    """

    tensor: str
    parameters: tuple[tuple[str, int], ...]
    products: tuple[tuple[Layer, int], ...]


def smoothable(model: onnx.ModelProto) -> Iterator[Smoothable]:
    """Yield the normalizations of ``model`` that can be smoothed, in the graph's order.

    They are LayerNormalizations, and a Mul by channel with the Add by channel behind it: the last two of the nodes that
    a LayerNormalization is before opset 17. What only moves values is passed on the way to the products.
    """
    graph = Graph.of(model)
    found = [(node, parameters) for node in graph.nodes if (parameters := _parameters(graph, node)) is not None]
    if not found:
        return
    readers = _Readers(graph, {layer.node: layer for layer in layers(model)}, inferred_shapes(model))
    for node, parameters in found:
        owner, position = parameters[0]
        taking = readers.products(node.output[0], -1, _channels(graph, owner.input[position]) or 0)
        if taking:
            places = tuple((owner.name, position) for owner, position in parameters)
            yield Smoothable(node.output[0], places, tuple(taking))


def _parameters(graph: Graph, node: NodeProto) -> list[tuple[NodeProto, int]] | None:
    """Return where a normalization's scale and bias are read; None for any other node."""
    if is_op(node, "LayerNormalization") and not any(node.output[1:]):
        scale = graph.constant(node.input[1])
        last = attribute(node, "axis", -1) == -1 or (scale is not None and scale.ndim == 1)
        places = [(node, position) for position in (1, 2) if position < len(node.input) and node.input[position]]
        if not last or any(_channels(graph, owner.input[position]) is None for owner, position in places):
            return None
        return places
    if is_op(node, "Add"):
        position = _constant_input(graph, node)
        scaled = graph.producer(node.input[1 - position]) if position is not None else None
        if position is None or scaled is None or not is_op(scaled, "Mul"):
            return None
        if graph.sole_consumer(scaled.output[0]) is not node:
            return None
        inner = _constant_input(graph, scaled)
        return None if inner is None else [(scaled, inner), (node, position)]
    return None


def _constant_input(graph: Graph, node: NodeProto) -> int | None:
    """Return the input of a Mul or Add that holds one number for each channel, where there is one."""
    for position, name in enumerate(node.input):
        if _channels(graph, name) is not None and graph.constant(node.input[1 - position]) is None:
            return position
    return None


def _channels(graph: Graph, name: str) -> int | None:
    """Return how many channels a constant of one number for each has, they being the last axis; else None."""
    values = graph.constant(name)
    if values is None or values.dtype != np.float32 or values.size < 2 or values.shape[-1] != values.size:
        return None
    return int(values.size)


@dataclass(frozen=True)
class _Readers:
    """Finds what reads the channels of a tensor; axes but the last, -1, are counted from the front."""

    graph: Graph
    layers: Mapping[str, Layer]
    shapes: Mapping[str, Shape]

    def products(self, tensor: str, axis: int, channels: int) -> list[tuple[Layer, int]] | None:
        """Return the products that read a tensor with so many channels on an axis; None where anything else does."""
        if self.graph.is_output(tensor):
            return None
        found: list[tuple[Layer, int]] = []
        for node in self.graph.consumers(tensor):
            if list(node.input).count(tensor) != 1 or node.input[0] != tensor:
                return None
            layer = self.layers.get(node.name)
            if layer is not None:
                taken = self._input_axis(layer, axis, channels)
                behind = None if taken is None else [(layer, taken)]
            else:
                moved = self._moved(node, axis, channels)
                behind = None if moved is None else self.products(node.output[0], moved, channels)
            if behind is None:
                return None
            found += behind
        return found

    def _moved(self, node: NodeProto, axis: int, channels: int) -> int | None:
        """Return the axis of the channels behind a node that only moves values; None for any other node."""
        if is_op(node, "Identity"):
            return axis
        if is_op(node, "Transpose") and attribute(node, "perm") is not None:
            order = list(attribute(node, "perm"))
            moved = order.index(axis % len(order))
            return -1 if moved == len(order) - 1 else moved
        if is_op(node, "Flatten") and attribute(node, "axis", 1) == 1:
            return -1 if axis in (1, -1) else None  # the products check that nothing else came into that axis
        if is_op(node, "Reshape") and axis == -1:
            sizes = self.graph.constant(node.input[1])
            return axis if sizes is not None and sizes.size and sizes.flat[-1] == channels else None
        if is_op(node, "Gather") and axis == -1 and self.graph.constant(node.input[1]) is not None:
            shape = self.shapes.get(node.input[0])
            # Of tokens: the channels stay last.
            return axis if shape is not None and attribute(node, "axis", 0) % len(shape) < len(shape) - 1 else None
        return None

    def _input_axis(self, layer: Layer, axis: int, channels: int) -> int | None:
        """Return the axis of the weights that a product reads the channels with; None where it reads another axis."""
        weights = self.graph.constant(layer.weight)
        assert weights is not None
        if layer.op_type == "Conv":
            return 1 if axis == 1 and layer.group == 1 else None
        of_inputs = 1 - layer.channel_axis
        return of_inputs if axis == -1 and weights.ndim == 2 and weights.shape[of_inputs] == channels else None
