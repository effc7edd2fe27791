"""Steps that work on each number: activations, constants, normalizations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.vocabulary.activations import hard_swish, silu
from tests.vocabulary.writer import Maps, Writer


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


def gelu(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    erf = write.on(write.on(write.on(x, "Div", write.floats(2**0.5)), "Erf"), "Add", write.floats(1))
    return write.on(write.both("Mul", x, erf), "Mul", write.floats(0.5))


def by_channel(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    values = 1 + write.bias(x.channels).reshape(1, -1, 1, 1)
    return write.on(x, str(write.random.choice(["Add", "Mul", "Sub", "Div"])), write.floats(values))


def by_number(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return write.on(x, str(write.random.choice(["Add", "Mul", "Sub", "Div"])), write.floats(1.5))


def normalized(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    kinds = [np.abs(write.bias(x.channels)) + 0.7, write.bias(x.channels), write.bias(x.channels)]
    return write.on(x, "BatchNormalization", *map(write.floats, [*kinds, np.abs(write.bias(x.channels)) + 0.7]))


def dropped(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    return write.on(x, str(write.random.choice(["Dropout", "Identity"])))
