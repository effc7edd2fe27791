"""An engine's model with the layers that measured slower in int8 put back to float, as a recipe says.

The recipe names these layers, so that the same model can be built again without measuring.
"""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from quantize.engines.native.builder.layers import Layer, arrays, layers
from quantize.engines.native.builder.weight_scales import greatest_level, nearest_levels, scales_by_mse
from quantize.formats import canonical
from quantize.formats.activation_bounds import Bounds, clip_bounds
from quantize.formats.float_layers import (
    FloatLayer,
    computes_on_integers,
    take_to_float,
)
from quantize.formats.float_weights import StoredWeights, Weights, with_weights
from quantize.formats.qdq_pattern import constant_values
from quantize.formats.twins import twins
from quantize.graph.nodes import INTEGER_WEIGHTED, WEIGHTED
from quantize.graph.view import Graph
from quantize.recipe import Recipe

PLACED = "placed"
"""Recipe detail: the nodes of the fp32 model that were put back to float, beyond those the engine left there."""


def placed_nodes(recipe: Recipe) -> tuple[str, ...] | None:
    """Return the nodes that were put back to float; None if the engine's decision was kept."""
    text = dict(recipe.details).get(PLACED)
    return None if text is None else tuple(json.loads(text))


def with_placement(recipe: Recipe, nodes: Collection[str], stored: Collection[str]) -> Recipe:
    """Return an engine's recipe with nodes put back to float.

    Args:
        recipe: As the engine found it.
        nodes: Names of nodes of the fp32 model.
        stored: Those layers in float whose weights are stored in int8.
    """
    details = dict(recipe.details) | {PLACED: json.dumps(sorted(nodes), separators=(",", ":"))}
    return recipe.but(
        float_nodes=tuple(sorted({*recipe.float_nodes, *nodes, *stored})),
        stored_nodes=tuple(sorted(stored)),
        details=tuple(sorted(details.items())),
    )


def int8_layers(recipe: Recipe, model: ModelProto, stay: Collection[str] = ()) -> tuple[int, int]:
    """Return how many layers with weights a recipe does not keep in float, and how many there are.

    Args:
        recipe: Names nodes of ``model``.
        model: The fp32 model.
        stay: Names of nodes that no recipe can have on integers.
    """
    weighted = {node.name for node in model.graph.node if node.op_type in INTEGER_WEIGHTED}
    of_types = {node.name for node in model.graph.node if node.op_type in recipe.float_op_types}
    return len(weighted.difference(recipe.float_nodes, of_types, stay)), len(weighted)


def placed(candidate: ModelProto, fp32: ModelProto, recipe: Recipe) -> ModelProto:
    """Return an engine's candidate with the placement that its recipe says, or as it is without one.

    Where no layer with weights is left in int8 it is the fp32 model itself, its weights stored as the recipe says.

    Args:
        candidate: As the engine built it, in any format.
        fp32: The prepared fp32 model.
        recipe: What it was built from.
    """
    nodes = placed_nodes(recipe)
    if nodes is None:
        return candidate
    own = {layer.node: layer for layer in layers(fp32)}
    values = arrays(fp32)
    stored = {name: stored_weights(own[name], values[own[name].weight]) for name in recipe.stored_nodes if name in own}
    if {node.name for node in fp32.graph.node if node.op_type in WEIGHTED} <= set(nodes):
        return with_weights(fp32, {own[name].weight: weights for name, weights in stored.items()})
    graph = canonical(candidate)
    reference, view = Graph(fp32), Graph(graph)
    origins = twins(reference, graph.graph.node)
    taken = {
        name: _fitting(view, name, _float_layer(reference, origin, view, name, own.get(origin), stored.get(origin)))
        for name, origin in origins.items()
        if origin in nodes or origin in stored
    }
    return take_to_float(graph, taken, followers=[node.name for node in graph.graph.node if node.name not in origins])


def stored_weights(layer: Layer, weights: NDArray[np.float32]) -> StoredWeights:
    """Return a layer's weights on an int8 grid with one scale an output channel, of least squared error."""
    rows = layer.rows(weights)
    level = greatest_level(reduce_range=False)  # nothing saturates: the products are those of floats
    scales = scales_by_mse(rows, level)
    levels = layer.shaped(nearest_levels(rows, scales, level), weights.shape).astype(np.int8)
    return StoredWeights(levels, scales, layer.channel_axis)


def int8_nodes(candidate: ModelProto, fp32: ModelProto) -> frozenset[str]:
    """Return the names of the fp32 model's nodes that a candidate computes on integers."""
    graph = Graph(canonical(candidate))
    origins = twins(Graph(fp32), graph.nodes)
    return frozenset(
        origins[node.name] for node in graph.nodes if node.name in origins and computes_on_integers(graph, node)
    )


def with_float_layers(quantized: ModelProto, fp32: ModelProto, nodes: Collection[str]) -> ModelProto:
    """Return a quantized model some of whose layers compute in float as fp32 does: with its weights and activation.

    A layer whose weights a rewrite put into another shape computes on its own, dequantized.

    Args:
        quantized: In any format.
        fp32: The model that it was made of.
        nodes: Names of nodes of the fp32 model.
    """
    graph, reference = canonical(quantized), Graph(fp32)
    view, own = Graph(graph), {layer.node: layer for layer in layers(fp32)}
    taken = {}
    for name, origin in twins(reference, view.sorted_nodes()).items():
        if origin not in nodes:
            continue
        taken[name] = _fitting(view, name, _float_layer(reference, origin, view, name, own.get(origin), None))
    return take_to_float(graph, taken)


def _fitting(graph: Graph, name: str, layer: FloatLayer) -> FloatLayer:
    """Return a layer with fp32's weights and bias, or with its own where these have another shape or place."""
    node = graph.node(name)
    given = (None, layer.weights, layer.bias)
    pairs = [(constant_values(graph, own), new) for own, new in zip(node.input if node else (), given, strict=False)]
    fits = all(new is None or (own is not None and own.shape == _shape(new)) for own, new in pairs)
    return layer if fits else FloatLayer(bounds=layer.bounds)


def _shape(weights: Weights) -> tuple[int, ...]:
    return tuple((weights.levels if isinstance(weights, StoredWeights) else weights).shape)


def _float_layer(
    reference: Graph, origin: str, candidate: Graph, name: str, layer: Layer | None, stored: StoredWeights | None
) -> FloatLayer:
    node = next(other for other in reference.nodes if other.name == origin)
    twin = next(other for other in candidate.nodes if other.name == name)
    bounds = _bounds(reference, node) if twin.op_type != "MatMul" or node.op_type == "MatMul" else None
    if layer is None or twin.op_type not in WEIGHTED:
        return FloatLayer(bounds=bounds)
    turned = node.op_type == "Gemm" and twin.op_type == "MatMul" and layer.channel_axis == 0
    weights = reference.constant(layer.weight)
    assert weights is not None
    given = weights if stored is None else stored
    if turned:
        given = weights.T if stored is None else StoredWeights(stored.levels.T, stored.scales, 1)
    bias = reference.constant(layer.bias) if layer.bias is not None and len(twin.input) > 2 else None
    return FloatLayer(given, bias, bounds)


def _bounds(graph: Graph, node: NodeProto) -> Bounds | None:
    readers = graph.consumers(node.output[0])
    return clip_bounds(graph, readers[0]) if len(readers) == 1 else None
