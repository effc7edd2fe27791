"""Kinds of Convs, pools and changes of size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto

from tests.vocabulary.writer import Maps, Writer


def depthwise() -> ModelProto:
    """MobileNetV2: expansion, depthwise Conv, linear projection, residual Add."""
    write = Writer()
    x = write.stem()
    y = write.clip(write.conv(x, 32, kernel=1), 0, 6)
    y = write.clip(write.conv(y, 32, group=32), 0, 6)
    y = write.conv(y, 16, kernel=1)
    return write.model(write.head(write.both("Add", x, y)))


def grouped_and_dilated() -> ModelProto:
    """ResNeXt's groups, and dilated Convs as in networks for segmentation."""
    write = Writer()
    x = write.relu(write.conv(write.stem(), 16, group=4))
    x = write.relu(write.conv(x, 24, dilation=2))
    x = write.relu(write.conv(x, 24, dilation=3, group=8))
    return write.model(write.head(x))


def transposed() -> ModelProto:
    """ConvTranspose, of which onnxruntime has no integer kernel."""
    write = Writer()
    x = write.stem()
    weights = write.weights(12, 16, 2, 2).transpose(1, 0, 2, 3)
    name = write.node("ConvTranspose", x.name, write.floats(weights), strides=[2, 2], kernel_shape=[2, 2])
    x = write.relu(Maps(name, 12, 2 * x.side))
    return write.model(write.head(write.relu(write.conv(x, 16, stride=2))))


def without_bias_and_uneven() -> ModelProto:
    """Kernels 1x7 and 7x1, padding on one side, no bias: Inception and networks of Keras."""
    write = Writer()
    x = write.stem()
    weights = write.floats(write.weights(16, 16, 1, 7))
    name = write.node("Conv", x.name, weights, kernel_shape=[1, 7], pads=[0, 3, 0, 3])
    x = write.relu(Maps(name, 16, x.side))
    weights = write.floats(write.weights(16, 16, 7, 1))
    name = write.node("Conv", x.name, weights, kernel_shape=[7, 1], auto_pad="SAME_UPPER")
    x = write.relu(Maps(name, 16, x.side))
    x = write.relu(write.conv(x, 20, stride=2, biased=False, auto_pad="SAME_UPPER"))
    return write.model(write.head(x))


def resized() -> ModelProto:
    """Resize, to the nearest and linear."""
    write = Writer()
    x = write.stem()
    scales = write.floats([1, 1, 2, 2])
    name = write.node("Resize", x.name, "", scales, mode="nearest", nearest_mode="floor")
    x = write.relu(write.conv(Maps(name, 16, 2 * x.side), 16, stride=2))
    name = write.node("Resize", x.name, "", scales, mode="linear")
    return write.model(write.head(write.relu(write.conv(Maps(name, 16, 2 * x.side), 16))))


def padded() -> ModelProto:
    """Padding as nodes: zeros before a Conv, another value before a pool, and reflection."""
    write = Writer()
    x = write.stem()
    ones = write.integers([0, 0, 1, 1, 0, 0, 1, 1])
    padded_ = Maps(write.node("Pad", x.name, ones, write.floats(0)), 16, x.side + 2)
    weights = write.floats(write.weights(16, 16, 3, 3))
    x = write.relu(Maps(write.node("Conv", padded_.name, weights, kernel_shape=[3, 3]), 16, x.side))
    lowest = write.floats(-3)
    x = write.pool(Maps(write.node("Pad", x.name, ones, lowest), 16, x.side + 2), kernel=3)
    x = Maps(write.node("Pad", x.name, ones, mode="reflect"), 16, x.side + 2)
    return write.model(write.head(write.relu(write.conv(x, 16))))


def padded_beyond_the_range() -> ModelProto:
    """Two Pads with one constant far below what they take, each read by a Conv."""
    write = Writer()
    x, lowest = write.stem(), write.floats(-5)
    ones = write.integers([0, 0, 1, 1, 0, 0, 1, 1])
    for _ in range(2):
        x = Maps(write.node("Pad", x.name, ones, lowest), 16, x.side + 2)
        x = write.relu(write.conv(x, 16))
    return write.model(write.head(x))


def cast_at_every_layer() -> ModelProto:
    """As TensorFlow's graphs come by way of PyTorch: Casts that change nothing, padding computed from the map's size.

    The bias is an Add of its own and the normalization three nodes: the Casts part them from the Conv.
    """
    write = Writer(batch=1)
    x, channels = write.image, 16

    def cast(x: Maps) -> Maps:
        return write.on(x, "Cast", to=TensorProto.FLOAT)

    def by_channel(x: Maps, op_type: str, values: npt.NDArray[np.float32]) -> Maps:
        return cast(write.on(x, op_type, write.floats(values.reshape(1, -1, 1, 1))))

    for _ in range(2):
        side = write.node("Gather", write.node("Shape", x.name), write.integers(2), axis=0)
        odd = write.node("Unsqueeze", write.node("Mod", side, write.integers(2)), write.integers([0]))
        more = write.node("Cast", write.node("Add", odd, write.integers([1])), to=TensorProto.INT64)
        none, one = write.integers([0, 0]), write.integers([1, 1, 0, 0])
        amounts = write.node("Concat", none, one, more, more, axis=0)
        x = Maps(write.node("Pad", cast(x).name, amounts), x.channels, x.side + 2)
        weights = write.floats(write.weights(channels, x.channels, 3, 3))
        x = cast(Maps(write.node("Conv", x.name, weights, strides=[2, 2]), channels, (x.side - 1) // 2))
        x = by_channel(x, "Add", write.bias(channels))
        x = by_channel(x, "Sub", write.bias(channels))
        x = by_channel(x, "Mul", np.abs(write.bias(channels)) + np.float32(0.5))
        x = cast(write.relu(by_channel(x, "Add", write.bias(channels))))
    return write.model(write.head(x))


def pooled() -> ModelProto:
    """Pools of all sorts, and the mean by AveragePool over the whole map."""
    write = Writer()
    x = write.pool(write.stem(), kernel=3, stride=1)
    x = write.relu(write.conv(x, 16))
    name = write.node("AveragePool", x.name, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)
    x = write.relu(write.conv(Maps(name, 16, x.side), 16))
    inside = write.node("AveragePool", x.name, kernel_shape=[3, 3], pads=[1] * 4)
    x = write.relu(write.conv(Maps(inside, 16, x.side), 16))
    highest = write.node("GlobalMaxPool", x.name)
    mean = write.node("AveragePool", x.name, kernel_shape=[x.side, x.side])
    both = write.node("Flatten", write.node("Concat", mean, highest, axis=1))
    return write.model(write.dense(both, 32))


def normalized() -> ModelProto:
    """BatchNormalization that no Conv takes up, InstanceNormalization and LRN."""
    write = Writer()
    x = write.pool(write.stem())
    numbers = [np.abs(write.bias(16)) + 0.5, write.bias(16), write.bias(16), np.abs(write.bias(16)) + 0.5]
    x = write.relu(write.on(x, "BatchNormalization", *map(write.floats, numbers)))
    x = write.conv(x, 16)
    x = write.relu(write.on(x, "InstanceNormalization", write.floats(np.ones(16)), write.floats(write.bias(16))))
    x = write.on(write.relu(write.conv(x, 16)), "LRN", size=5, alpha=1e-2, beta=0.75)
    return write.model(write.head(write.relu(write.conv(x, 16))))


def in_newer_forms() -> ModelProto:
    """GroupNormalization, a Pad that names its axes, and a pool that counts padding and reaches beyond it."""
    write = Writer(opset=21)
    x = write.conv(write.image, 16, stride=2)
    numbers = [write.floats(np.abs(write.bias(16)) + 0.5), write.floats(write.bias(16))]
    x = write.relu(write.on(x, "GroupNormalization", *numbers, num_groups=4))
    name = write.node("Pad", x.name, write.integers([1, 1, 1, 1]), write.floats(0), write.integers([-2, -1]))
    x = write.relu(write.conv(Maps(name, 16, x.side + 2), 16))
    pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1, "count_include_pad": 1}
    x = write.relu(write.conv(Maps(write.node("AveragePool", x.name, **pool), 16, 6), 16))
    return write.model(write.head(x))


def with_dropout() -> ModelProto:
    """A graph exported with Dropout and Identity in it."""
    write = Writer()
    x = write.on(write.on(write.stem(), "Dropout"), "Identity")
    x = write.on(write.relu(write.conv(x, 16)), "Dropout", write.floats(0.5))
    return write.model(write.head(x))
