"""Kinds of weights and names that are out of the ordinary."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, numpy_helper

from tests.vocabulary.writer import Writer


def dead_and_outlying_channels() -> ModelProto:
    """Channels without weights, and channels a hundred times as wide as the others, which the next layer undoes."""
    write = Writer()
    spread = np.ones(16, np.float32)
    spread[::4], spread[1] = 0, 100
    weights = write.weights(16, 3, 3, 3) * spread.reshape(-1, 1, 1, 1)
    x = write.relu(write.conv(write.image, 16, stride=2, weights=weights, bias=write.bias(16) * spread))
    x = write.relu(write.conv(x, 16, group=16))
    back = 1 / np.where(spread == 0, 1, spread)
    x = write.relu(write.conv(x, 24, weights=write.weights(24, 16, 3, 3) * back.reshape(1, -1, 1, 1)))
    return write.model(write.head(x))


def tiny_weights_beside_a_bias() -> ModelProto:
    """Filters of 1e-8 with a bias of 5: in steps of the products, the bias is no 32-bit number."""
    write = Writer()
    x = write.stem()
    weights, bias = write.weights(32, 16, 3, 3), np.full(32, 0.1, np.float32)
    weights[::2] *= 1e-8
    bias[::4], bias[2::4] = 5, -4.5
    x = write.relu(write.conv(x, 32, stride=2, weights=weights, bias=bias))
    y = write.conv(x, 32, kernel=1, weights=write.weights(32, 32, 1, 1) * np.float32(1e-8), bias=write.bias(32, 3))
    return write.model(write.head(write.relu(write.both("Add", x, y))))


def shared_weights() -> ModelProto:
    """One weight and one bias that two Convs and, reshaped, nothing else read; one Gemm weight read twice."""
    write = Writer()
    x = write.stem()
    weight, bias = write.floats(write.weights(16, 16, 3, 3)), write.floats(write.bias(16))
    for _ in range(2):
        x = write.relu(write.on(x, "Conv", weight, bias, kernel_shape=[3, 3], pads=[1] * 4))
    square = write.floats(write.weights(16, 16))
    y = write.node("Relu", write.node("Gemm", write.features(x), square, transB=1))
    y = write.node("Relu", write.node("Gemm", y, square, bias, transB=1))
    return write.model(write.dense(y, 16))


def names_used_twice() -> ModelProto:
    """Nodes of one name, and nodes without one."""
    model = _plain()
    for number, node in enumerate(model.graph.node):
        node.name = "layer" if number < 4 else ""
    return model


def old_and_new(opset: int) -> ModelProto:
    """A plain network of an opset, with the operators that changed their form over time."""
    write = Writer(opset=opset)
    x = write.clip(write.conv(write.stem(), 16), 0, 6)
    x = write.pool(x, "AveragePool")
    x = write.relu(write.conv(x, 16))
    means = write.node("GlobalAveragePool", x.name)
    if opset < 13:
        means = write.node("Squeeze", means, axes=[2, 3])
    else:
        means = write.node("Squeeze", means, write.integers([2, 3]))
    scores = write.dense(means, 16)
    return write.model(write.node("Softmax", scores, axis=1), ir=8 if opset < 21 else 10)


def bias_only_at_the_end() -> ModelProto:
    """A network whose last layer's weights are all zero but for one class."""
    model = _plain()
    weight = model.graph.initializer[-2]
    values = np.zeros_like(numpy_helper.to_array(weight))
    values[3] = 1
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    return model


def _plain() -> ModelProto:
    write = Writer()
    x = write.relu(write.conv(write.stem(), 16))
    return write.model(write.head(write.relu(write.conv(x, 16))))
