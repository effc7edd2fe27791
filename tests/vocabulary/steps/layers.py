"""Steps with weights: Convs of all sorts, attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tests.vocabulary.writer import Maps, Writer

WIDTHS = (4, 8, 12, 16)


def _weights(write: Writer, *shape: int) -> Any:
    """Return weights whose output channels may be of unlike spread, or dead."""
    weights, kind = write.weights(*shape), write.random.integers(4)
    if kind == 0:
        weights *= np.exp2(write.random.uniform(-3, 3, (shape[0], *[1] * (len(shape) - 1)))).astype(np.float32)
        weights /= max(float(np.abs(weights).max()), 1)
    elif kind == 1:
        weights[write.random.random(shape[0]) < 0.3] = 0
    return weights


def random_conv(write: Writer, x: Maps, channels: int, **attributes: Any) -> Maps:
    kernel, group = attributes.get("kernel", 3), attributes.get("group", 1)
    weights = _weights(write, channels, x.channels // group, kernel, kernel)
    return write.conv(x, channels, weights=weights, biased=bool(write.random.integers(4)), **attributes)


def conv(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    stride = int(write.random.integers(1, 3)) if x.side > 3 else 1
    return random_conv(write, x, int(write.random.choice(WIDTHS)), stride=stride)


def pointwise(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return random_conv(write, x, int(write.random.choice(WIDTHS)), kernel=1)


def depthwise(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return random_conv(write, x, x.channels, group=x.channels)


def grouped(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    group = 2 if x.channels % 2 == 0 else 1
    return random_conv(write, x, 8, group=group, dilation=int(write.random.integers(1, 3)))


def same_padded(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return random_conv(write, x, 8, auto_pad="SAME_UPPER", stride=2 if x.side > 3 else 1)


def same_weights_twice(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    weights, bias = write.floats(write.weights(x.channels, x.channels, 1, 1)), write.floats(write.bias(x.channels))
    first = write.on(x, "Conv", weights, bias, kernel_shape=[1, 1])
    return write.on(write.relu(first), "Conv", weights, bias, kernel_shape=[1, 1])


def tiny_weights(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    weights = write.weights(8, x.channels, 1, 1)
    weights[::2] *= 1e-8
    return write.conv(x, 8, kernel=1, weights=weights, bias=write.bias(8, 2))


def transposed(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if x.side > 8:
        return pointwise(write, x, ())
    weights = write.floats(write.weights(6, x.channels, 2, 2).transpose(1, 0, 2, 3))
    name = write.node("ConvTranspose", x.name, weights, strides=[2, 2], kernel_shape=[2, 2])
    return Maps(name, 6, 2 * x.side)


def squeezed(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if write.opset < 18 and write.random.integers(2):
        means = write.node("ReduceMean", x.name, axes=[2, 3], keepdims=1)
    else:
        means = write.node("GlobalAveragePool", x.name)
    inner = write.relu(write.conv(Maps(means, x.channels, 1), 4, kernel=1))
    gate = write.conv(inner, x.channels, kernel=1)
    return write.both("Mul", x, write.on(gate, str(write.random.choice(["Sigmoid", "HardSigmoid"]))))


def attended(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    """Let the places of a map attend to one another, with LayerNormalization before (opset 17) and a sum behind."""
    places = x.side * x.side
    if places > 64:
        return x
    tokens = write.node("Reshape", x.name, write.integers([0, x.channels, places]))
    tokens = write.node("Transpose", tokens, perm=[0, 2, 1])
    y = tokens
    if write.opset >= 17:
        scale, shift = write.floats(1 + write.bias(x.channels)), write.floats(write.bias(x.channels))
        y = write.node("LayerNormalization", y, scale, shift, axis=-1)
    query, key, value = (
        write.node("MatMul", y, write.floats(write.weights(x.channels, x.channels).T)) for _ in range(3)
    )
    likeness = write.node("MatMul", query, write.node("Transpose", key, perm=[0, 2, 1]))
    likeness = write.node("Div", likeness, write.floats(x.channels**0.5))
    if write.random.integers(2):
        mask = np.triu(np.full((places, places), -np.inf, np.float32), 1)
        likeness = write.node("Add", likeness, write.floats(mask))
    mixed = write.node("MatMul", write.node("Softmax", likeness, axis=2), value)
    back = write.node("Transpose", write.node("Add", tokens, mixed), perm=[0, 2, 1])
    return replace(x, name=write.node("Reshape", back, write.integers([0, x.channels, x.side, x.side])))
