"""The plainest quantizer, for tests on real models: min-max, per-channel, uint8 activations, int8 weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, helper

from quantize.formats.bias import rounded_bias
from quantize.formats.parameters import add_dequantize, add_quantize, new_parameters
from quantize.graph.opsets.raising import raise_graph
from quantize.graph.view import Graph

WEIGHTED = ("Conv", "Gemm")


def quantized(model: ModelProto, images: NDArray[np.float32], *, float_ops: tuple[str, ...] = ()) -> ModelProto:
    """Return the QDQ model (opset 13 or higher): every float tensor between nodes is quantized.

    Args:
        model: fp32, with every Conv and Gemm weight constant.
        images: float32 (N, 3, H, W), run one by one.
        float_ops: Op types whose outputs stay float.
    """
    graph = Graph(model)
    raise_graph(graph, 13)
    clips = [node for node in graph.nodes if node.op_type in ("Relu", "Clip")]
    names = list(graph.inputs)
    for node in graph.nodes:
        absorbed = any(reader in clips for reader in graph.consumers(node.output[0]))
        if node.op_type not in float_ops and not absorbed:
            names.append(node.output[0])
    ranges = _ranges(graph.model(), names, images)
    for name in names:
        _quantize_activation(graph, name, *ranges[name])
    for node in [node for node in graph.nodes if node.op_type in WEIGHTED]:
        _quantize_weight(graph, node)
    return graph.model()


def _ranges(model: ModelProto, names: list[str], images: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    del model.graph.output[:]
    given = [value.name for value in model.graph.input]
    made = [name for name in names if name not in given]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in made)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    ranges = dict.fromkeys(names, (0.0, 0.0))
    for image in images:
        arrays = dict(zip(made, session.run(made, {given[0]: image[None]}), strict=True)) | {given[0]: image}
        for name, array in arrays.items():
            low, high = ranges[name]
            ranges[name] = (min(low, float(array.min())), max(high, float(array.max())))
    return ranges


def _quantize_activation(graph: Graph, name: str, low: float, high: float) -> None:
    scale = np.float32((high - low) / 255)
    by = new_parameters(graph, name, scale, np.asarray(np.rint(-low / scale), np.uint8), None)
    integers = graph.fresh(f"{name}_quantized")
    if graph.is_output(name):
        node = graph.producer(name)
        assert node is not None
        graph.set_output(node, list(node.output).index(name), inner := graph.fresh(f"{name}_float"))
        add_dequantize(graph, integers, by, name)
        name = inner
    else:
        graph.replace_uses(name, add_dequantize(graph, integers, by))
    add_quantize(graph, name, by, integers)


def _quantize_weight(graph: Graph, node: Any) -> None:
    values = graph.constant(node.input[1])
    source = graph.producer(graph.producer(node.input[0]).input[0])  # type: ignore[union-attr]
    by_x = graph.constant(source.input[1])  # type: ignore[union-attr]
    assert values is not None
    assert by_x is not None
    scale = np.maximum(np.abs(values.reshape(values.shape[0], -1)).max(axis=1) / 127, 1e-8).astype(np.float32)
    by = new_parameters(graph, node.input[1], scale, np.zeros(scale.shape, np.int8), 0)
    integers = graph.add_constant(f"{node.input[1]}_quantized", by.quantize(values))
    graph.set_input(node, 1, add_dequantize(graph, integers, by))
    if len(node.input) > 2:
        bias_scale = (scale * by_x).astype(np.float32)
        by_bias = new_parameters(graph, node.input[2], bias_scale, np.zeros(scale.shape, np.int32), 0)
        bias = graph.constant(node.input[2])
        assert bias is not None
        rounded = rounded_bias(bias, bias_scale)
        graph.set_input(node, 2, add_dequantize(graph, graph.add_constant("bias", rounded), by_bias))
