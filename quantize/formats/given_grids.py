"""The grids that a model was given with: quantization taken off a graph, and remembered tensor by tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto

from quantize.formats.parameters import Parameters, is_dequantize, is_quantize, node_parameters
from quantize.formats.qdq import canonical
from quantize.graph.nodes import ACTIVATIONS, WEIGHTED, is_op, replace_all
from quantize.graph.view import Graph
from quantize.grid.grid import Grid

KEY = "given_grids"
"""Key of ``metadata_props`` under which a prepared model holds the grids that are to be kept."""

_KEPT_TYPES = (np.dtype(np.uint8), np.dtype(np.int8))
_BOUNDED_BELOW = (*ACTIVATIONS, "HardSigmoid", "Sigmoid", "Softmax")
_MOVING = ("AveragePool", "Flatten", "GlobalAveragePool", "MaxPool", "Pad", "Reshape", "Squeeze", "Transpose")


@dataclass(frozen=True)
class Unquantized:
    """A model without its quantization.

    Attributes:
        model: Float; where a quantized tensor had taken an activation in, there is a Clip at the ends of its grid.
        grids: What the tensors were quantized by, by their names in ``model``; weights too.
        activations: How many activations were quantized.
        weights: How many constants were.
        whole: Whether every layer with weights read them dequantized: nothing was left in float.
    """

    model: ModelProto
    grids: Mapping[str, Grid]
    activations: int
    weights: int
    whole: bool


def without_quantization(model: ModelProto) -> Unquantized:
    """Return a model with its integers replaced by the real numbers that they stand for.

    Weights keep the values that they were rounded to. Of activations no rounding is left. Quantizers remove a Relu or
    Clip in front of a grid that begins at zero: a tensor on such a grid gets its bounds as a Clip, unless what makes it
    is bounded itself, or it is the model's input: pixels have no activation. (onnxruntime 1.21 to 1.23 open no model
    with a Clip between its input and a QuantizeLinear.)

    Args:
        model: In any format; what cannot be undone (dynamic quantization) stays.
    """
    graph = Graph(canonical(model))
    layers = [node for node in graph.nodes if is_op(node, *WEIGHTED)]
    whole = bool(layers) and all(is_dequantize(graph.producer(node.input[1])) for node in layers)
    grids: dict[str, Grid] = {}
    activations, weights = 0, 0
    for node in [node for node in graph.sorted_nodes() if is_dequantize(node)]:
        by = node_parameters(graph, node)
        if by is None:
            continue
        integers, value = graph.constant(node.input[0]), node.output[0]
        made_by = graph.producer(node.input[0])
        if integers is not None:
            graph.remove([node])
            graph.set_constant(value, by.dequantize(integers))
            grids[value] = by
            weights += 1
        elif made_by is not None and is_quantize(made_by):
            activations += 1
            grids[_without_pair(graph, made_by.input[0], node, by)] = by
    kept = {name: grid for name, grid in grids.items() if _can_be_kept(grid)}
    return Unquantized(graph.model(), kept, activations, weights, whole)


def with_grids(model: ModelProto, grids: Mapping[str, Grid]) -> ModelProto:
    """Return a copy of a model that says which grids are to be kept; none: it says nothing."""
    result = ModelProto()
    result.CopyFrom(model)
    replace_all(result.metadata_props, [entry for entry in model.metadata_props if entry.key != KEY])
    if grids:
        said = {
            name: [grid.scale.tolist(), grid.zero_point.tolist(), grid.zero_point.dtype.name, grid.axis]
            for name, grid in grids.items()
        }
        result.metadata_props.add(key=KEY, value=json.dumps(said))
    return result


def grids_of(model: ModelProto) -> dict[str, Grid]:
    """Return the grids that a prepared model wants kept, by tensor."""
    text = next((entry.value for entry in model.metadata_props if entry.key == KEY), None)
    said = json.loads(text) if text is not None else {}
    return {
        name: Grid(np.asarray(scale, np.float32), np.asarray(zero_point, dtype), axis)
        for name, (scale, zero_point, dtype, axis) in said.items()
    }


def as_type(grid: Grid, integers: str) -> Grid:
    """Return a grid per tensor with the same real numbers in uint8 or int8."""
    if grid.zero_point.dtype == integers:
        return grid
    moved = int(grid.zero_point) + (128 if integers == "uint8" else -128)
    return Grid(grid.scale, np.array(moved, integers))


def _can_be_kept(grid: Grid) -> bool:
    return grid.zero_point.dtype in _KEPT_TYPES and bool((np.asarray(grid.scale) > 0).all())


def _without_pair(graph: Graph, source: str, node: NodeProto, by: Parameters) -> str:
    """Remove a DequantizeLinear of a tensor that was quantized, and return the tensor that stands for its output."""
    value = node.output[0]
    graph.remove([node])
    if by.axis is None and by.low == 0.0 and not _needs_no_bounds(graph, source):
        # A name of its own: quantizers make the pair's names of the source's again.
        clipped = graph.fresh(f"{source}_clipped")
        ends = [graph.add_constant(f"{clipped}_{end}", np.array(at, np.float32)) for end, at in _ends(by).items()]
        graph.add("Clip", [source, *ends], [clipped], name=f"{source}_Clip")
        source = clipped
    if graph.is_output(value):
        graph.add("Identity", [source], [value], name=f"{value}_Identity")
    else:
        graph.replace_uses(value, source)
    return source


def _ends(by: Parameters) -> dict[str, float]:
    return {"lowest": by.low, "highest": by.high}


def _needs_no_bounds(graph: Graph, name: str) -> bool:
    """Return whether a tensor had no activation in front of its grid: it is pixels, or never negative as it is made."""
    made_by = graph.producer(name)
    while made_by is not None and is_op(made_by, *_MOVING):
        name = made_by.input[0]
        made_by = graph.producer(name)
    return name in graph.inputs if made_by is None else is_op(made_by, *_BOUNDED_BELOW)
