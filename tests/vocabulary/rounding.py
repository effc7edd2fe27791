"""What rounding to 8 bits costs a model at the least: every tensor and weight rounded, and all else computed in fp32.

It is written for tests, and shares nothing with the package: numbers that are rounded once, at every place, and by the
range that they were seen in. A quantized model may be better, and hardly ever much worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

Floats = npt.NDArray[np.float32]
WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")


def rounded_scores(model: ModelProto, known: Sequence[Floats], unseen: Sequence[Floats]) -> Floats:
    """Return the scores (N, classes) of a model of opset 13 or newer whose tensors are rounded by hand.

    Args:
        model: The fp32 model.
        known: Batches that ranges are taken from.
        unseen: Batches to score.
    """
    rounded = ModelProto.FromString(model.SerializeToString())
    given = rounded.graph.input[0].name
    tensors = [given, *_float_tensors(rounded)]
    ranges = _ranges(rounded, given, tensors, known)
    nodes: list[NodeProto] = []
    for node in rounded.graph.node:
        node.input[:] = [f"{name}/rounded" if name in ranges else name for name in node.input]
    for name in (given, *(output for node in rounded.graph.node for output in node.output)):
        nodes += [node for node in rounded.graph.node if name in node.output and node not in nodes]
        if name in ranges:
            nodes += _pair(rounded, name, *ranges[name])
    _round_weights(rounded)
    del rounded.graph.node[:]
    rounded.graph.node.extend(nodes)
    return np.concatenate([_run(rounded, {given: batch})[0] for batch in unseen])


def _float_tensors(model: ModelProto) -> list[str]:
    inferred = shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.value_info}
    # Integers, which shapes are computed with, are no numbers to round.
    return [name for name, kind in types.items() if kind == TensorProto.FLOAT]


def _run(model: ModelProto, feeds: dict[str, Floats]) -> list[npt.NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    # Optimized, operators between the pairs would compute on integers.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def _ranges(
    model: ModelProto, given: str, tensors: Sequence[str], batches: Sequence[Floats]
) -> dict[str, tuple[float, float]]:
    exposed = ModelProto.FromString(model.SerializeToString())
    del exposed.graph.output[:]
    names = [name for name in tensors if name != given]
    exposed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    ranges = dict.fromkeys(tensors, (0.0, 0.0))
    for batch in batches:
        for name, array in zip((given, *names), (batch, *_run(exposed, {given: batch})), strict=True):
            finite = array[np.isfinite(array)]
            low, high = ranges[name]
            ranges[name] = (min(low, float(finite.min(initial=0))), max(high, float(finite.max(initial=0))))
    return {name: (low, high) for name, (low, high) in ranges.items() if high > low}


def _pair(model: ModelProto, name: str, low: float, high: float) -> list[NodeProto]:
    scale = np.float32(max((high - low) / 255, 1e-30))
    for part, values in (("scale", scale), ("zero", np.uint8(np.clip(np.rint(-low / scale), 0, 255)))):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), f"{name}/{part}"))
    by = [f"{name}/scale", f"{name}/zero"]
    return [
        helper.make_node("QuantizeLinear", [name, *by], [f"{name}/integers"]),
        helper.make_node("DequantizeLinear", [f"{name}/integers", *by], [f"{name}/rounded"]),
    ]


def _round_weights(model: ModelProto) -> None:
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        tensor = tensors.get(node.input[1]) if node.op_type in WEIGHTED else None
        if tensor is None or tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        transposed = any(entry.name == "transB" and entry.i for entry in node.attribute)
        axis = 0 if node.op_type == "Conv" or transposed else 1 if node.op_type == "ConvTranspose" else values.ndim - 1
        others = tuple(at for at in range(values.ndim) if at != axis)
        scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127, 1e-30)
        tensor.CopyFrom(numpy_helper.from_array((np.rint(values / scale) * scale).astype(np.float32), tensor.name))
