"""The units behind the last layer with weights: they cost little, and in int8 they make equal scores."""

from __future__ import annotations

import onnx

from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.search.units import unit_graph
from quantize.recipe import Recipe


def head_units(model: onnx.ModelProto, recipe: Recipe) -> frozenset[str]:
    """Return the names of the units behind the last layer with weights."""
    graph = unit_graph(model, op_types_of(recipe))
    weighted = {layer.node for layer in layers(model)}
    consumers = graph.consumers
    head: set[str] = set()
    for unit in reversed(graph.units):
        if unit.name not in weighted and all(taker.name in head for taker in consumers.get(unit.output, ())):
            head.add(unit.name)
    return frozenset(head)


def head_inputs(model: onnx.ModelProto, recipe: Recipe) -> frozenset[str]:
    """Return the tensors that the head takes from what is quantized."""
    graph, head = unit_graph(model, op_types_of(recipe)), head_units(model, recipe)
    taken = {name for unit in graph.units if unit.name in head for name in unit.inputs}
    return frozenset(taken - {unit.output for unit in graph.units if unit.name in head} - {graph.image})
