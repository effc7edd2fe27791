"""A small classifier that is right on images of six colours, and helpers for runs on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from quantize.report.models import ModelSection
from quantize.run.request import TuneResult

COLOURS = ((220, 30, 30), (30, 220, 30), (30, 30, 220), (220, 220, 30), (30, 220, 220), (220, 30, 220))
SIDE = 32
_COARSE = 34.0

SETTINGS: dict[str, object] = {
    "preprocessing.resize": SIDE,
    "preprocessing.resize_mode": "square",
    "preprocessing.interpolation": "bilinear",
    "preprocessing.channel_order": "RGB",
    "preprocessing.scale": "1",
    "preprocessing.mean": "0,0,0",
    "preprocessing.std": "1,1,1",
    "quantization.calibration.sampling_size": 24,
    "evaluation.performance.iteration": 20,
    "tuning.speed_criterion.min_speedup": 0,  # so small a model has no speed to gain: tests of speed ask for one
    "evaluation.performance.max_seconds": 1,
    "tuning.engine": "ort",  # every environment has it
    "tuning.placement": "all-int8",
    "rewrites": "none",
}


def colours() -> onnx.ModelProto:
    """Return the classifier: 3x3 means of each channel, then the scalar product with each colour."""
    generator = np.random.default_rng(3)
    smooth = np.zeros((8, 3, 3, 3), np.float32)
    for channel in range(8):
        smooth[channel, channel % 3] = 1 / 9
    smooth += generator.normal(0, 0.002, smooth.shape).astype(np.float32)
    wanted = np.array(COLOURS, np.float64) - 125
    mixing = np.zeros((len(COLOURS), 8, 1, 1), np.float32)
    for channel in range(8):
        mixing[:, channel, 0, 0] = wanted[:, channel % 3] / (2000 * (3 if channel % 3 < 2 else 2))
    bias = (-mixing[:, :, 0, 0].sum(axis=1) * 125).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["pixels", "w1", "b1"], ["c1"], "first", kernel_shape=[3, 3], pads=[1] * 4),
            helper.make_node("Relu", ["c1"], ["r1"], "relu"),
            helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "second", kernel_shape=[1, 1]),
            helper.make_node("GlobalAveragePool", ["c2"], ["p"], "pool"),
            helper.make_node("Flatten", ["p"], ["f"], "flat"),
            helper.make_node("Softmax", ["f"], ["scores"], "softmax", axis=1),
        ],
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", len(COLOURS)])],
        [
            numpy_helper.from_array(smooth, "w1"),
            numpy_helper.from_array(np.zeros(8, np.float32), "b1"),
            numpy_helper.from_array(mixing, "w2"),
            numpy_helper.from_array(bias, "b2"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def chosen_candidate(run: TuneResult) -> onnx.ModelProto:
    """Return the candidate that the engine chose."""
    return onnx.load(run.run / "work" / "candidates" / f"{run.report.trials[0].recipe_id}.onnx")


def forgetful(model: onnx.ModelProto, colours_lost: int) -> onnx.ModelProto:
    """Return a quantized classifier that never names its last ``colours_lost`` colours.

    Their weights are on so coarse a grid that they are zeros, and their biases the first negative value of theirs: bad
    grids, but no layer does anything else than its grids say.
    """
    return _changed(
        model,
        colours_lost,
        {
            "w2_quantized": lambda _: 0,
            "w2_scale": lambda _: _COARSE,
            "b2_quantized": lambda _: -1,
            "b2_quantized_scale": lambda fine: fine * (_COARSE / fine.max()),
        },
    )


def overflowing(model: onnx.ModelProto, colours_lost: int) -> onnx.ModelProto:
    """Return a quantized classifier whose last biases, as many as ``colours_lost``, are none of fp32's."""
    return _changed(model, colours_lost, {"b2_quantized": lambda _: -(2**24)})


def _changed(model: onnx.ModelProto, count: int, changes: Mapping[str, Callable[[Any], Any]]) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        if tensor.name in changes:
            array = numpy_helper.to_array(tensor).copy()
            array[-count:] = changes[tensor.name](array[-count:])
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return result


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def environment(cache: Path) -> dict[str, str]:
    """Return the environment of a child process that keeps its caches in ``cache``."""
    return {**os.environ, "QUANTIZE_CACHE": str(cache), "NO_COLOR": "1"}


def colours_of_caffe() -> onnx.ModelProto:
    """Return the classifier for the input of the preset ``caffe``: BGR with the means subtracted."""
    model = colours()
    for weight in model.graph.initializer:
        if weight.name == "w1":
            reversed_order = np.ascontiguousarray(numpy_helper.to_array(weight)[:, ::-1])
            weight.CopyFrom(numpy_helper.from_array(reversed_order, "w1"))
    means = np.array([103.939, 116.779, 123.68], np.float32)  # B, G, R
    for weight in model.graph.initializer:
        if weight.name == "b1":
            weight.CopyFrom(numpy_helper.from_array((reversed_order.sum(axis=(2, 3)) @ means).astype(np.float32), "b1"))
    return model


def top1_of(model: ModelSection) -> float:
    """Return a model's expected top-1 on the images that trials saw, a fraction."""
    top1 = model.selection.evaluation.top1
    assert top1 is not None
    return top1.expected
