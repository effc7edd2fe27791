"""Insert QuantizeLinear and DequantizeLinear with onnxruntime's quantizer and our own scales."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from quantize.formats.float_layers import computes_on_integers
from quantize.graph.nodes import MATRIX_PRODUCTS, reads, rename_reads, replace_all
from quantize.graph.regions import regions
from quantize.graph.shapes import with_inferred_shapes
from quantize.graph.shell import without_constants
from quantize.graph.view import Graph
from quantize.grid.grid import Grid
from quantize.recipe import Recipe

_TYPES = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
# onnxruntime's quantizer infers shapes through a file unless the model says that they were inferred already.
_INFERRED = ("onnx.infer", "onnxruntime.quant")


FLOAT_OUTPUTS = "float_outputs"
"""Recipe detail, "true" or absent: what a Gemm or MatMul gives to nobody but float nodes, as scores, stays float32."""


def insert_qdq(
    model: onnx.ModelProto,
    recipe: Recipe,
    op_types: tuple[str, ...],
    activations: Mapping[str, Grid],
    weights: Mapping[str, Grid],
) -> onnx.ModelProto:
    """Return ``model`` with the nodes of ``op_types`` quantized, but for those that the recipe keeps in fp32.

    Args:
        model: The fp32 model at opset 13 or later; weights in ``weights`` must lie on their grid already.
        recipe: Types and exclusions.
        op_types: The op types to quantize. What lies inside a region (``graph.regions``) stays float all the same.
        activations: Grids by tensor.
        weights: Grids by initializer.
    """
    floats = {*recipe.float_nodes, *(name for region in regions(Graph.of(model)) for name in region.float_nodes)}
    prepared = with_inferred_shapes(_with_integer_weights(model, weights))
    marker = prepared.metadata_props.add()
    marker.key, marker.value = _INFERRED
    overrides: dict[str, list[dict[str, Any]]] = {}
    known = {value.name for value in (*prepared.graph.value_info, *prepared.graph.input, *prepared.graph.output)}
    ranges = {}
    for name, grid in activations.items():
        if name not in known:
            continue
        ranges[name] = TensorData(lowest=np.float32(grid.low), highest=np.float32(grid.high))
        overrides[name] = [{"scale": grid.scale, "zero_point": grid.zero_point}]
    quantizer = QDQQuantizer(
        prepared,
        per_channel=recipe.per_channel,
        reduce_range=recipe.reduce_range,
        weight_qType=_TYPES[recipe.weight_type],
        activation_qType=_TYPES[recipe.activation_type],
        tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(floats),
        op_types_to_quantize=list(op_types),
        extra_options={
            "TensorQuantOverrides": overrides,
            "ActivationSymmetric": recipe.symmetric_activations,
            # Scales of weights are ours: they must not be moved to make room for a bias.
            "QDQDisableWeightAdjustForInt32Bias": True,
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    kept = [entry for entry in quantized.metadata_props if (entry.key, entry.value) != _INFERRED]
    replace_all(quantized.metadata_props, kept)
    del quantized.graph.value_info[:]
    if dict(recipe.details).get(FLOAT_OUTPUTS) == "true":
        _free_outputs(quantized, floats)
    return quantized


def _with_integer_weights(model: onnx.ModelProto, weights: Mapping[str, Grid]) -> onnx.ModelProto:
    """Return ``model`` with weights as int8 behind DequantizeLinear, which the quantizer then leaves alone.

    It would round them channel by channel, which takes longer than all the rest.
    """
    result = without_constants(model)
    own_nodes, own_constants, kept = [], [], []
    for tensor in model.graph.initializer:
        grid = weights.get(tensor.name)
        if grid is None:
            kept.append(tensor)
            continue
        values = numpy_helper.to_array(tensor)
        names = [f"{tensor.name}{suffix}" for suffix in ("_quantized", "_scale", "_zero_point")]
        for name, content in zip(names, (grid.quantize(values), grid.scale, grid.zero_point), strict=True):
            own_constants.append(numpy_helper.from_array(content, name))
        axis = {} if grid.axis is None else {"axis": grid.axis}
        output = f"{tensor.name}_DequantizeLinear_Output"
        own_nodes.append(
            helper.make_node("DequantizeLinear", names, [output], f"{tensor.name}_DequantizeLinear", **axis)
        )
    nodes = [*own_nodes, *result.graph.node]
    for node in nodes[len(own_nodes) :]:
        for at, name in enumerate(node.input):
            if name in weights:
                node.input[at] = f"{name}_DequantizeLinear_Output"
    replace_all(result.graph.node, nodes)
    result.graph.initializer.extend([*kept, *own_constants])
    return result


def _free_outputs(model: onnx.ModelProto, floats: Collection[str]) -> None:
    """Take the QuantizeLinear and DequantizeLinear off what a Gemm or MatMul gives to float nodes and callers only.

    Eight bits for the scores make equal scores, and an integer product is as fast with a float output.
    """
    graph = Graph.of(model)
    gone: list[onnx.NodeProto] = []
    for product in model.graph.node:
        quantize = _sole_quantize(graph, product) if product.op_type in MATRIX_PRODUCTS else None
        dequantized = graph.consumers(quantize.output[0]) if quantize is not None else []
        if quantize is None or len(dequantized) != 1 or dequantized[0].op_type != "DequantizeLinear":
            continue
        output = dequantized[0].output[0]
        if _is_taken_in_integers(graph, output, floats):
            continue
        gone += [quantize, dequantized[0]]
        if graph.is_output(output):
            product.output[0] = output
            continue
        for reader in graph.consumers(output):
            rename_reads(reader, output, product.output[0])
    left = {id(node) for node in gone}
    replace_all(model.graph.node, [node for node in model.graph.node if id(node) not in left])
    used = {name for node in model.graph.node for name in reads(node)}
    for unused in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(unused)


def _sole_quantize(graph: Graph, node: onnx.NodeProto) -> onnx.NodeProto | None:
    readers = graph.consumers(node.output[0])
    is_only = len(readers) == 1 and readers[0].op_type == "QuantizeLinear" and not graph.is_output(node.output[0])
    return readers[0] if is_only else None


def _is_taken_in_integers(graph: Graph, name: str, floats: Collection[str]) -> bool:
    """Return whether an operator that may compute on integers reads a dequantized tensor."""
    readers = [reader for reader in graph.consumers(name) if reader.name not in floats]
    if graph.is_output(name):
        return bool(readers)
    return any(computes_on_integers(graph, reader) for reader in readers)
