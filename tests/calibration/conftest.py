from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.data.batches import Batch


@pytest.fixture
def small_model() -> onnx.ModelProto:
    """Conv, Clip, Conv and Conv side by side with Relus, Concat, MaxPool, pool, Flatten, Gemm."""
    rng = np.random.default_rng(0)

    def constant(name, *shape):
        return numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], "conv0", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["c0", "low", "high"], ["r0"], "clip0"),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], "conv1", kernel_shape=[3, 3], strides=[2, 2], group=4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r0", "w2", "b2"], ["c2"], "conv2", kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Concat", ["r1", "r2"], ["cat"], "concat", axis=1),
        helper.make_node("MaxPool", ["cat"], ["pool"], "maxpool", kernel_shape=[2, 2]),
        helper.make_node("GlobalAveragePool", ["pool"], ["gap"], "gap"),
        helper.make_node("Flatten", ["gap"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["scores"], "gemm", transB=1),
    ]
    initializers = [
        constant("w0", 4, 3, 3, 3),
        constant("b0", 4),
        numpy_helper.from_array(np.float32(0.0), "low"),
        numpy_helper.from_array(np.float32(1.5), "high"),
        constant("w1", 4, 1, 3, 3),
        constant("w2", 6, 4, 3, 3),
        constant("b2", 6),
        constant("w3", 5, 10),
        constant("b3", 5),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 9, 9])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 5])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (7, 3, 9, 9)).astype(np.float32)


@pytest.fixture
def batches_of():
    def made(images, size):
        return [
            Batch(
                tuple(str(i) for i in range(start, min(start + size, len(images)))), images[start : start + size], None
            )
            for start in range(0, len(images), size)
        ]

    return made
