"""Which layers of a quantized model change the scores most: these go back to float first."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.search.changed_weights import ChangedWeights
from quantize.engines.native.search.op_graph import op_graph
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.sensitivity import measure_sensitivity
from quantize.engines.ort.quantizer import excluded_nodes
from quantize.engines.task import SearchTask
from quantize.graph.nodes import attribute
from quantize.grid.grid import Grid
from quantize.models.weights_apart import weights_apart
from quantize.recipe import Recipe

_IMAGES = 64
_SUFFIX = "_quantized"


def most_sensitive_first(task: SearchTask, recipe: Recipe, candidate: ModelProto) -> list[list[str]]:
    """Return the nodes of each layer that a recipe quantizes, the layer that moves the scores most first.

    A layer's share is the KL from fp32's scores on calibration images with its weights alone on their grid, plus
    that with its output alone on its grid, both as the quantizer chose them.

    Args:
        task: The search.
        recipe: What the candidate was built from.
        candidate: The quantizer's QDQ model.
    """
    fp32 = task.model.proto()
    graph = op_graph(fp32, op_types_of(recipe))
    with weights_apart(fp32) as apart:
        moved = measure_sensitivity(
            apart,
            graph,
            ChangedWeights(_weights(fp32, candidate)),
            _grids(candidate),
            Scorer(task.model, task.calibration.batches, most=_IMAGES, threads=task.threads),
            fixed_batch=task.model.contract.fixed_batch,
            progress=task.progress,
        )
    excluded = set(excluded_nodes(recipe))
    layers = [
        (moved.weights.get(op.name, 0.0) + moved.tensors.get(op.output, 0.0), list(op.node_names))
        for op in graph.ops
        if op.name not in excluded
    ]
    return [names for _, names in sorted(layers, key=lambda layer: (-layer[0], layer[1]))]


def _weights(fp32: ModelProto, candidate: ModelProto) -> dict[str, TensorProto]:
    """Return the values that the candidate's layers compute with, by the fp32 model's initializer."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in candidate.graph.initializer}
    names = {tensor.name for tensor in fp32.graph.initializer}
    values = {}
    for node in candidate.graph.node:
        name = node.input[0].removesuffix(_SUFFIX) if node.op_type == "DequantizeLinear" else ""
        if name in names and node.input[0] in stored:
            integers, scale = stored[node.input[0]], stored[node.input[1]]
            zero_point = stored[node.input[2]] if len(node.input) > 2 else np.zeros_like(scale, integers.dtype)
            axis = attribute(node, "axis", 1) % integers.ndim if scale.ndim else None
            values[name] = numpy_helper.from_array(Grid(scale, zero_point, axis).dequantize(integers), name)
    return values


def _grids(candidate: ModelProto) -> dict[str, Grid]:
    """Return the grid of every tensor that the candidate rounds, by the tensor's name."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in candidate.graph.initializer}
    return {
        node.input[0]: Grid(stored[node.input[1]], stored[node.input[2]])
        for node in candidate.graph.node
        if node.op_type == "QuantizeLinear" and node.input[1] in stored and not stored[node.input[1]].ndim
    }
