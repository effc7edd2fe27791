"""Steps that move numbers or change the size of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.vocabulary.writer import Maps, Writer


def pooled(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if x.side < 4:
        return x
    kernel, stride = (int(number) for number in write.random.integers((2, 1), (4, 3)))
    return write.pool(x, str(write.random.choice(["MaxPool", "AveragePool"])), kernel=kernel, stride=stride)


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


def sliced(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    """Leave out the first row and column, or every other channel."""
    if write.opset < 10 or x.side < 3 or x.channels < 2:
        return x
    if write.random.integers(2):
        ends, axes = write.integers([x.side, x.side]), write.integers([2, 3])
        return Maps(write.node("Slice", x.name, write.integers([1, 1]), ends, axes), x.channels, x.side - 1)
    steps = [write.integers([number]) for number in (0, x.channels, 1, 2)]
    return Maps(write.node("Slice", x.name, *steps), -(-x.channels // 2), x.side)


def channels_last(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    """Go to channels last for an Add and an activation, as exporters leave it, and back."""
    turned = write.node("Transpose", x.name, perm=[0, 2, 3, 1])
    turned = write.node("Add", turned, write.floats(write.bias(x.channels)))
    turned = write.node(str(write.random.choice(["Relu", "Tanh"])), turned)
    return replace(x, name=write.node("Transpose", turned, perm=[0, 3, 1, 2]))
