"""Small models that divide by what a grid may round to zero."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from tests.vocabulary.writer import Maps, Writer


def normalized_by_mean_squares() -> ModelProto:
    """Return tokens divided by the root of their mean square, a norm written out (RMSNorm)."""
    write = Writer()
    stem = write.relu(write.conv(write.image, 16, stride=2, bias=np.full(16, -0.2, np.float32)))
    x = write.node("Reshape", stem.name, write.integers([0, 16, 64]))
    x = write.node("Transpose", x, perm=[0, 2, 1])
    squares = write.node("ReduceMean", write.node("Pow", x, write.floats(2.0)), axes=[-1], keepdims=1)
    root = write.node("Sqrt", write.node("Add", squares, write.floats(1e-6)))
    x = write.node("Mul", x, write.node("Reciprocal", root))
    x = write.node("Mul", x, write.floats(write.random.uniform(0.5, 2, 16)))
    x = write.node("Relu", write.node("MatMul", x, write.floats(write.weights(24, 16).T)))
    return write.model(write.dense(write.node("ReduceMean", x, axes=[1], keepdims=0), 24))


def reciprocal_of_what_a_conv_reads() -> ModelProto:
    """Return maps that one layer takes rounded and another divides by; they are above zero by less than a step."""
    write = Writer()
    x = write.on(write.stem(), "Add", write.floats(np.full((1, 16, 1, 1), 1e-3)))
    beside = write.relu(write.conv(x, 16))
    ratio = write.node("Reciprocal", x.name)
    small = write.node("Mul", ratio, write.floats(np.full((1, 16, 1, 1), 1e-3)))
    return write.model(write.head(write.both("Add", beside, Maps(small, 16, x.side))))
