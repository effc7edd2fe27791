"""Which normalizations can be smoothed: those that only products with constant weights read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from quantize.engines.native.builder.layers import Layer, layers
from quantize.graph.nodes import attribute, is_op
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
    products = {layer.node: layer for layer in layers(model)}
    for node in graph.nodes:
        parameters = _parameters(graph, node)
        if parameters is None:
            continue
        channels = graph.constant(parameters[0][0].input[parameters[0][1]])
        assert channels is not None
        taking = _products(graph, products, (node.output[0], -1), channels.size)
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


def _products(
    graph: Graph, known: Mapping[str, Layer], place: tuple[str, int], channels: int
) -> list[tuple[Layer, int]] | None:
    """Return the products that read a tensor with so many channels on an axis, or None where anything else does."""
    tensor, axis = place
    if graph.is_output(tensor):
        return None
    found: list[tuple[Layer, int]] = []
    for node in graph.consumers(tensor):
        if list(node.input).count(tensor) != 1 or node.input[0] != tensor:
            return None
        layer = known.get(node.name)
        if layer is not None:
            taken = _input_axis(graph, layer, axis, channels)
            if taken is None:
                return None
            found.append((layer, taken))
            continue
        moved = _moved(graph, node, axis, channels)
        behind = _products(graph, known, (node.output[0], moved), channels) if moved is not None else None
        if behind is None:
            return None
        found += behind
    return found


def _moved(graph: Graph, node: NodeProto, axis: int, channels: int) -> int | None:
    """Return the axis of the channels behind a node that only moves values; None for any other node.

    Axes but the last, -1, are counted from the front.
    """
    if is_op(node, "Identity"):
        return axis
    if is_op(node, "Transpose") and attribute(node, "perm") is not None:
        order = list(attribute(node, "perm"))
        moved = order.index(axis % len(order))
        return -1 if moved == len(order) - 1 else moved
    if is_op(node, "Flatten") and attribute(node, "axis", 1) == 1:
        return -1 if axis in (1, -1) else None  # the products check that nothing else came into that axis
    if is_op(node, "Gather", "Reshape") and axis == -1:
        given = graph.constant(node.input[1])
        if given is None or not given.size:
            return None
        # Of tokens, the second of three axes: the channels stay last.
        kept = attribute(node, "axis", 0) == 1 if node.op_type == "Gather" else given[-1] == channels
        return axis if kept else None
    return None


def _input_axis(graph: Graph, layer: Layer, axis: int, channels: int) -> int | None:
    """Return the axis of the weights that a product reads the channels with; None where it reads another axis."""
    weights = graph.constant(layer.weight)
    assert weights is not None
    if layer.op_type == "Conv":
        return 1 if axis == 1 and layer.group == 1 else None
    of_inputs = 1 - layer.channel_axis
    return of_inputs if axis == -1 and weights.ndim == 2 and weights.shape[of_inputs] == channels else None
