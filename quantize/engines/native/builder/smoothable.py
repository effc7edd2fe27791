"""Which tensors can be smoothed: those by channel from constants, that only products with constant weights read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from quantize.engines.native.builder.homogeneous import ACTIVATIONS, is_homogeneous
from quantize.engines.native.builder.layers import Layer, layers
from quantize.graph.nodes import attribute, is_op
from quantize.graph.shapes import Shape, inferred_shapes
from quantize.graph.view import Graph


@dataclass(frozen=True)
class Smoothable:
    """A tensor whose channels can be divided by factors where they are made, and multiplied where they are read.

    Attributes:
        tensor: Its name.
        axis: That of its channels: -1 behind a normalization, 1 behind a Conv.
        parameters: (node, input, axis): a normalization's scale and its bias if it has one, or a Conv's weights and its
            bias; the axis of theirs that is that of the channels.
        products: The products that read it, each with the axis of its weights' inputs.
    """

    tensor: str
    axis: int
    parameters: tuple[tuple[str, int, int], ...]
    products: tuple[tuple[Layer, int], ...]


def smoothable(model: onnx.ModelProto) -> Iterator[Smoothable]:
    """Yield the tensors of ``model`` that can be smoothed, in the graph's order.

    Normalizations are LayerNormalizations, and a Mul by channel with the Add by channel behind it: the last two of the
    nodes that a LayerNormalization is before opset 17. Behind them and behind Convs, what only moves values is passed
    on the way to the products; behind Convs also what a positive factor goes through.
    """
    graph = Graph.of(model)
    known = {layer.node: layer for layer in layers(model)}
    readers = _Readers(graph, known, inferred_shapes(model))
    for node in graph.nodes:
        if node.name in known:
            found = _behind_conv(graph, known[node.name], node, readers)
        else:
            found = _behind_normalization(graph, node, readers)
        if found is not None:
            yield found


def _behind_conv(graph: Graph, layer: Layer, node: NodeProto, readers: _Readers) -> Smoothable | None:
    if layer.op_type != "Conv" or (layer.bias is None and len(node.input) > 2 and node.input[2]):
        return None
    weights = graph.constant(layer.weight)
    assert weights is not None
    products = readers.products(layer.output, 1, len(weights), scaled=True)
    if not products:
        return None
    activation = graph.sole_consumer(layer.output)
    tensor = activation.output[0] if activation is not None and is_op(activation, *ACTIVATIONS) else layer.output
    parameters = [(layer.node, 1, 0), *([(layer.node, 2, 0)] if layer.bias is not None else [])]
    return Smoothable(tensor, 1, tuple(parameters), tuple(products))


def _behind_normalization(graph: Graph, node: NodeProto, readers: _Readers) -> Smoothable | None:
    parameters = _parameters(graph, node)
    if parameters is None:
        return None
    owner, position = parameters[0]
    products = readers.products(node.output[0], -1, _channels(graph, owner.input[position]) or 0)
    if not products:
        return None
    places = tuple((owner.name, position, -1) for owner, position in parameters)
    return Smoothable(node.output[0], -1, places, tuple(products))


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

    def products(
        self, tensor: str, axis: int, channels: int, *, scaled: bool = False
    ) -> list[tuple[Layer, int]] | None:
        """Return the products that read a tensor with so many channels on an axis; None where anything else does.

        Args:
            tensor: Its name.
            axis: That of the channels.
            channels: Their number.
            scaled: Whether what a positive factor of each channel goes through is passed too.
        """
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
                is_passed = scaled and (is_op(node, *ACTIVATIONS) or (axis == 1 and is_homogeneous(node)))
                moved = axis if is_passed else self._moved(node, axis, channels)
                behind = None if moved is None else self.products(node.output[0], moved, channels, scaled=scaled)
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
        if is_op(node, "Reshape") and axis in (1, -1):
            sizes = self.graph.constant(node.input[1])
            if sizes is None or not sizes.size or sizes.flat[-1] != channels:
                return None
            return -1 if axis == -1 or (sizes.size == 2 and self._is_one_pixel(node.input[0])) else None
        if is_op(node, "Gather") and axis == -1 and self.graph.constant(node.input[1]) is not None:
            shape = self.shapes.get(node.input[0])
            # Of tokens: the channels stay last.
            return axis if shape is not None and attribute(node, "axis", 0) % len(shape) < len(shape) - 1 else None
        return None

    def _is_one_pixel(self, tensor: str) -> bool:
        """Return whether a tensor with its channels on axis 1 has one value of each, as behind a pool of all pixels."""
        return all(size == 1 for size in self.shapes.get(tensor, (None, None, None))[2:])

    def _input_axis(self, layer: Layer, axis: int, channels: int) -> int | None:
        """Return the axis of the weights that a product reads the channels with; None where it reads another axis."""
        weights = self.graph.constant(layer.weight)
        assert weights is not None
        if layer.op_type == "Conv":
            if axis != 1 or layer.group == 1:
                return 1 if axis == 1 else None
            return 0 if layer.group == channels and weights.shape[:2] == (channels, 1) else None  # depthwise
        of_inputs = 1 - layer.channel_axis
        return of_inputs if axis == -1 and weights.ndim == 2 and weights.shape[of_inputs] == channels else None
