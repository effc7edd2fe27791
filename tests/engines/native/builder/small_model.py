"""A small classifier, images for it, and the candidates that the builder makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from quantize.data.batches import Batch
from quantize.engines.native.builder.builder import NativeBuilder
from quantize.formats.exact import open_exact_session
from quantize.recipe import Recipe

RECIPE = Recipe(engine="native")


def classifier():
    """Conv-Relu-depthwise Conv-Relu into two Convs, Concat, GlobalAveragePool, Gemm; ranges of channels differ."""
    rng = np.random.default_rng(0)

    def constant(name, *shape):
        spread = np.exp2(rng.uniform(-3, 3, (shape[0], *[1] * (len(shape) - 1))))
        return numpy_helper.from_array((rng.normal(0, 0.2, shape) * spread).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], "conv0", kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"], "relu0"),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], "depthwise", kernel_shape=[3, 3], group=8),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "left", kernel_shape=[1, 1]),
        helper.make_node("Conv", ["r1", "w3", "b3"], ["c3"], "right", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Concat", ["c2", "c3"], ["cat"], "concat", axis=1),
        helper.make_node("GlobalAveragePool", ["cat"], ["gap"], "gap"),
        helper.make_node("Flatten", ["gap"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w4", "b4"], ["scores"], "gemm", transB=1),
    ]
    initializers = [
        constant("w0", 8, 3, 3, 3),
        constant("b0", 8),
        constant("w1", 8, 1, 3, 3),
        constant("b1", 8),
        constant("w2", 6, 8, 1, 1),
        constant("w3", 6, 8, 3, 3),
        constant("b3", 6),
        constant("w4", 10, 12),
        constant("b4", 10),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


IMAGES = np.random.default_rng(1).normal(0.3, 1, (24, 3, 16, 16)).astype(np.float32)
BATCHES = [Batch(tuple(map(str, range(24))), IMAGES, None)]


def quantize_graph(model, recipe, statistics, moments=None):
    return NativeBuilder(Path("unused"), moments and (lambda: moments)).graph(model, recipe, statistics)


def scores(model):
    return open_exact_session(model).run(None, {"x": IMAGES})[0]


def error(model, candidate):
    return float(((scores(candidate) - scores(model)) ** 2).mean())
