"""The steps that random networks grow by: each takes a tensor and may take an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.vocabulary.activations import hard_swish, silu
from tests.vocabulary.writer import Maps, Writer

Step = Callable[[Writer, Maps, Sequence[Maps]], Maps]
"""Adds nodes behind a tensor and returns what they make. The third argument holds all tensors that were made before."""

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


def _conv(write: Writer, x: Maps, channels: int, **attributes: Any) -> Maps:
    kernel, group = attributes.get("kernel", 3), attributes.get("group", 1)
    weights = _weights(write, channels, x.channels // group, kernel, kernel)
    return write.conv(x, channels, weights=weights, biased=bool(write.random.integers(4)), **attributes)


def conv(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    stride = int(write.random.integers(1, 3)) if x.side > 3 else 1
    return _conv(write, x, int(write.random.choice(WIDTHS)), stride=stride)


def pointwise(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return _conv(write, x, int(write.random.choice(WIDTHS)), kernel=1)


def depthwise(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return _conv(write, x, x.channels, group=x.channels)


def grouped(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    group = 2 if x.channels % 2 == 0 else 1
    return _conv(write, x, 8, group=group, dilation=int(write.random.integers(1, 3)))


def same_padded(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return _conv(write, x, 8, auto_pad="SAME_UPPER", stride=2 if x.side > 3 else 1)


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


def relu(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return write.relu(x)


def clip(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    bounds = ((0, 6), (0, 1), (-1, 1), (0.25, 2), (-2, -0.25), (None, 1), (-0.5, None), (0, None), (0.5, 0.75))
    low, high = bounds[write.random.integers(len(bounds))]
    return write.clip(x, low, high)


def curve(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    name = str(write.random.choice(["Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "HardSigmoid", "LeakyRelu", "Abs"]))
    return write.on(x, name)


def swish(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return (silu, hard_swish)[write.random.integers(2)](write, x)


def slope(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return write.on(x, "PRelu", write.floats(np.abs(write.bias(x.channels)).reshape(-1, 1, 1)))


def _another(write: Writer, x: Maps, earlier: Sequence[Maps], *, channels: bool) -> Maps:
    """Return an earlier tensor that x can be joined with, or one made for that of x."""
    fit = [y for y in earlier if y.side == x.side and y != x and (y.channels == x.channels or not channels)]
    if fit and write.random.integers(4):
        return fit[write.random.integers(len(fit))]
    made = _conv(write, x, x.channels)
    return write.relu(made) if write.random.integers(2) else made


def add(write: Writer, x: Maps, earlier: Sequence[Maps]) -> Maps:
    op_type = str(write.random.choice(["Add", "Add", "Sub", "Sum"]))
    return write.both(op_type, x, _another(write, x, earlier, channels=True))


def multiply(write: Writer, x: Maps, earlier: Sequence[Maps]) -> Maps:
    return write.both("Mul", x, write.on(_another(write, x, earlier, channels=True), "Sigmoid"))


def concat(write: Writer, x: Maps, earlier: Sequence[Maps]) -> Maps:
    pieces = [x, _another(write, x, earlier, channels=False)]
    if write.random.integers(3) == 0:
        pieces.append(_another(write, x, earlier, channels=False))
    joint = write.concat(*pieces)
    return joint if joint.channels <= 32 else pointwise(write, joint, ())


def by_channel(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    values = 1 + write.bias(x.channels).reshape(1, -1, 1, 1)
    return write.on(x, str(write.random.choice(["Add", "Mul", "Sub", "Div"])), write.floats(values))


def by_number(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return write.on(x, str(write.random.choice(["Add", "Mul", "Sub", "Div"])), write.floats(1.5))


def normalized(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    kinds = [np.abs(write.bias(x.channels)) + 0.7, write.bias(x.channels), write.bias(x.channels)]
    return write.on(x, "BatchNormalization", *map(write.floats, [*kinds, np.abs(write.bias(x.channels)) + 0.7]))


def pooled(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if x.side < 4:
        return x
    kernel, stride = (int(number) for number in write.random.integers((2, 1), (4, 3)))
    return write.pool(x, str(write.random.choice(["MaxPool", "AveragePool"])), kernel=kernel, stride=stride)


def squeezed(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if write.opset < 18 and write.random.integers(2):
        means = write.node("ReduceMean", x.name, axes=[2, 3], keepdims=1)
    else:
        means = write.node("GlobalAveragePool", x.name)
    inner = write.relu(write.conv(Maps(means, x.channels, 1), 4, kernel=1))
    gate = write.conv(inner, x.channels, kernel=1)
    return write.both("Mul", x, write.on(gate, str(write.random.choice(["Sigmoid", "HardSigmoid"]))))


def split(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if x.channels % 2 or write.opset < 13:
        return x
    half = x.channels // 2
    sizes = write.integers([half, half])
    left, right = (Maps(name, half, x.side) for name in write.split("Split", x.name, sizes, outputs=2, axis=1))
    return write.concat(left, write.relu(_conv(write, right, half)))


def shuffled(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if x.channels % 2:
        return x
    apart = write.node("Reshape", x.name, write.integers([0, 2, x.channels // 2, x.side, x.side]))
    turned = write.node("Transpose", apart, perm=[0, 2, 1, 3, 4])
    return Maps(write.node("Reshape", turned, write.integers([0, x.channels, x.side, x.side])), x.channels, x.side)


def padded(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if write.opset < 11:
        return x
    edges, mode = write.integers([0, 0, 1, 1, 0, 0, 1, 1]), str(write.random.choice(["constant", "reflect", "edge"]))
    if x.side < 2:
        return x
    value = [write.floats(write.random.choice([0, 0, -1, 1]))] if mode == "constant" else []
    return Maps(write.node("Pad", x.name, edges, *value, mode=mode), x.channels, x.side + 2)


def resized(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if write.opset < 11 or x.side > 8:
        return x
    scales, empty = write.floats([1, 1, 2, 2]), write.floats([]) if write.opset < 13 else ""
    mode = str(write.random.choice(["nearest", "linear"]))
    return Maps(write.node("Resize", x.name, empty, scales, mode=mode), x.channels, 2 * x.side)


def dropped(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return write.on(x, str(write.random.choice(["Dropout", "Identity"])))


STEPS: tuple[Step, ...] = (
    conv, pointwise, depthwise, grouped, same_padded, same_weights_twice, tiny_weights, transposed,
    relu, clip, curve, swish, slope, add, multiply, concat, by_channel, by_number, normalized, pooled,
    squeezed, split, shuffled, padded, resized, dropped,
)  # fmt: skip
"""All steps; those that a tensor does not suit give it back as it is."""
