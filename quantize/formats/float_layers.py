"""Put layers of a quantized graph back to float arithmetic, with weights in fp32 or stored in int8."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from quantize.formats.activation_bounds import RELU, Bounds, add_activation, clip_bounds
from quantize.formats.float_weights import Weights, put_weights
from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.formats.qdq_pattern import constant_integers
from quantize.graph.nodes import MATRIX_PRODUCTS, WEIGHTED
from quantize.graph.view import Graph


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """What a node computes with in float.

    Attributes:
        weights: Its weights; None: those that it has, dequantized once.
        bias: float32 (channels,); None: what it has, dequantized once.
        bounds: What its activation confines the result to; None: there is none.
    """

    weights: Weights | None = None
    bias: NDArray[np.float32] | None = None
    bounds: Bounds | None = None


def take_to_float(model: ModelProto, layers: Mapping[str, FloatLayer], followers: Collection[str] = ()) -> ModelProto:
    """Return a model whose named nodes compute in float; nothing is rounded any more between two of them.

    Args:
        model: In canonical form (QDQ around every operator).
        layers: By node name: what it computes with.
        followers: Nodes without a wish of their own: they become float where all that they take, or all that takes
            their result, is float.
    """
    graph = Graph(model)
    for node in graph.sorted_nodes():
        if node.name in layers:
            _with_float_parts(graph, node, layers[node.name])
    floats = _float_nodes(graph, set(layers), followers)
    for node in [node for node in graph.sorted_nodes() if is_quantize(node)]:
        _bypass(graph, node, floats)
    return graph.model()


def _with_float_parts(graph: Graph, node: NodeProto, layer: FloatLayer) -> None:
    given = (None, layer.weights, layer.bias)
    for position in range(1, len(node.input) if node.op_type in WEIGHTED else 0):
        values = given[position] if position < len(given) else None
        own = constant_integers(graph, node.input[position])
        if values is None and own is not None:
            source, integers = own
            values = source.by.dequantize(integers)
        if values is not None:
            hint = f"{node.name}_{'weights' if position == 1 else 'bias'}"
            graph.set_input(node, position, put_weights(graph, hint, values))
    if layer.bounds is not None:
        _confine(graph, node, layer.bounds)


def _confine(graph: Graph, node: NodeProto, bounds: Bounds) -> None:
    """Put the activation behind a node that its QuantizeLinear stood for, unless it is there."""
    readers = graph.consumers(node.output[0])
    if any(clip_bounds(graph, reader) is not None for reader in readers) or graph.is_output(node.output[0]):
        return
    inner = graph.fresh(f"{node.output[0]}_unbounded")
    output = node.output[0]
    graph.set_output(node, 0, inner)
    kind = "Relu" if bounds == RELU else "Clip"
    add_activation(graph, inner, output, bounds, f"{node.name}_{kind}")


def _float_nodes(graph: Graph, named: set[str], followers: Collection[str]) -> set[str]:
    """Return the names of all nodes that compute in float: the named, those that did, and what follows them."""
    floats = named | {
        node.name for node in graph.nodes if not _converts(node) and not computes_on_integers(graph, node)
    }
    left = [node for node in graph.sorted_nodes() if node.name in followers and node.name not in floats]
    changed = True
    while changed:
        changed = False
        for node in left:
            if node.name in floats:
                continue
            makers = [_made_in_float(graph, name, floats) for name in node.input if graph.constant(name) is None]
            takers = [taker.name in floats for name in node.output for taker in _takers(graph, name)]
            if (makers and all(makers)) or (takers and all(takers)):
                floats.add(node.name)
                changed = True
    return floats


def _converts(node: NodeProto) -> bool:
    return is_quantize(node) or is_dequantize(node)


def computes_on_integers(graph: Graph, node: NodeProto) -> bool:
    """Return whether onnxruntime may compute a node on integers: between DequantizeLinear and QuantizeLinear."""
    data = [name for name in node.input if name and graph.constant(name) is None]
    if node.op_type in WEIGHTED:  # float weights make a float layer
        data = list(node.input[:2])
    if clip_bounds(graph, node) is not None:  # an activation belongs to the node before it
        maker = graph.producer(node.input[0])
        if maker is not None and not _converts(maker):
            return computes_on_integers(graph, maker)
    if not data or not all(is_dequantize(graph.producer(name)) for name in data):
        return False
    return node.op_type in MATRIX_PRODUCTS or all(_only_quantized(graph, name) for name in node.output if name)


def _only_quantized(graph: Graph, name: str) -> bool:
    readers = graph.consumers(name)
    if graph.is_output(name):
        return False
    return all(
        is_quantize(reader) or (clip_bounds(graph, reader) is not None and _only_quantized(graph, reader.output[0]))
        for reader in readers
    )


def _made_in_float(graph: Graph, name: str, floats: set[str]) -> bool:
    """Return whether a tensor's values were computed in float, whatever stands between them and the tensor."""
    maker = graph.producer(name)
    while maker is not None and _converts(maker):
        maker = graph.producer(maker.input[0])
    if maker is not None and clip_bounds(graph, maker) is not None and maker.name not in floats:
        maker = graph.producer(maker.input[0])
    return maker is None or maker.name in floats


def _takers(graph: Graph, name: str) -> list[NodeProto]:
    """Return the nodes that compute with a tensor, past its QuantizeLinear and DequantizeLinear."""
    takers = []
    for reader in graph.consumers(name):
        takers += _takers(graph, reader.output[0]) if _converts(reader) else [reader]
    return takers


def _bypass(graph: Graph, quantize: NodeProto, floats: set[str]) -> None:
    """Let float nodes read what a float node made, past the QuantizeLinear and DequantizeLinear between them."""
    values = quantize.input[0]
    if not _made_in_float(graph, values, floats):
        return
    for dequantize in [reader for reader in graph.consumers(quantize.output[0]) if is_dequantize(reader)]:
        if graph.is_output(dequantize.output[0]):
            continue
        for taker in graph.consumers(dequantize.output[0]):
            if taker.name in floats:
                for position, name in enumerate(taker.input):
                    if name == dequantize.output[0]:
                        graph.set_input(taker, position, values)
