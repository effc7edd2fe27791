"""Kinds of Gemm, MatMul and attention."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from tests.vocabulary.writer import CLASSES, Writer

WIDTH, HEADS, TOKENS = 24, 3, 16


def gemm_forms() -> ModelProto:
    """Gemm with alpha, beta, a scalar bias and a bias (1, N), transposed inputs; MatMul with the constant first."""
    write = Writer()
    x = write.features(write.relu(write.conv(write.stem(), 32, stride=2)))
    x = write.node("Gemm", x, write.floats(4 * write.weights(24, 32).T), write.floats(0.3), alpha=0.25, beta=2.0)
    x = write.node("Transpose", write.node("Relu", x), perm=[1, 0])
    x = write.node("Gemm", x, write.floats(write.weights(16, 24).T), write.floats(write.bias(16)[None]), transA=1)
    x = write.node("MatMul", write.floats(write.weights(CLASSES, 16)), write.node("Transpose", x, perm=[1, 0]))
    return write.model(write.node("Transpose", x, perm=[1, 0]))


def bias_of_one_row() -> ModelProto:
    """Gemm with a bias (1, N)."""
    write = Writer()
    weights = write.floats(write.weights(CLASSES, 16).T)
    scores = write.node("Gemm", write.features(write.stem()), weights, write.floats(write.bias(CLASSES)[None]))
    return write.model(scores)


def matmul_and_add() -> ModelProto:
    """TensorFlow's head: MatMul, Add and Softmax; and a hidden layer with Relu."""
    write = Writer()
    x = write.node("MatMul", write.features(write.stem()), write.floats(write.weights(32, 16).T))
    x = write.node("Relu", write.node("Add", x, write.floats(write.bias(32))))
    x = write.node("MatMul", x, write.floats(2 * write.weights(CLASSES, 32).T))
    return write.model(write.node("Softmax", write.node("Add", x, write.floats(write.bias(CLASSES))), axis=-1))


def packed_transformer() -> ModelProto:
    """The same, its queries, keys and values columns of one product."""
    return vision_transformer(packed=True)


def vision_transformer(
    *, opset: int = 17, masked: bool = False, normalization: str = "operator", packed: bool = False
) -> ModelProto:
    """A patch Conv, positions, one block of attention and a perceptron, and the mean of the tokens.

    Args:
        opset: Of the model.
        masked: A mask of -inf hides the last two tokens from the others.
        normalization: ``operator`` writes LayerNormalization, ``nodes`` the nine nodes that it is before opset 17.
        packed: Queries, keys and values are columns of one product.
    """
    write = Writer(opset=opset)

    def normalized(x: str) -> str:
        scale, shift = write.floats(1 + write.bias(WIDTH)), write.floats(write.bias(WIDTH))
        if normalization == "operator":
            return write.node("LayerNormalization", x, scale, shift, axis=-1)
        centred = write.node("Sub", x, write.node("ReduceMean", x, axes=[-1]))
        square = write.node("ReduceMean", write.node("Pow", centred, write.floats(2)), axes=[-1])
        spread = write.node("Sqrt", write.node("Add", square, write.floats(1e-6)))
        return write.node("Add", write.node("Mul", write.node("Div", centred, spread), scale), shift)

    def linear(x: str, outputs: int, inputs: int = WIDTH) -> str:
        product = write.node("MatMul", x, write.floats(write.weights(outputs, inputs).T * 0.7))
        return write.node("Add", product, write.floats(write.bias(outputs)))

    def heads(x: str, perm: list[int]) -> str:
        shape = write.integers([0, TOKENS, HEADS, WIDTH // HEADS])
        return write.node("Transpose", write.node("Reshape", x, shape), perm=perm)

    patches = write.node(
        "Conv", "image", write.floats(write.weights(WIDTH, 3, 4, 4)), kernel_shape=[4, 4], strides=[4, 4]
    )
    x = write.node("Reshape", patches, write.integers([0, WIDTH, TOKENS]))
    x = write.node("Transpose", x, perm=[0, 2, 1])
    x = write.node("Add", x, write.floats(0.3 * write.random.standard_normal((1, TOKENS, WIDTH))))
    y = normalized(x)
    if packed:
        rows = write.node("Reshape", linear(y, 3 * WIDTH), write.integers([0, TOKENS, 3, HEADS, WIDTH // HEADS]))
        parted = write.node("Transpose", rows, perm=[2, 0, 3, 1, 4])
        query, key, value = (write.node("Gather", parted, write.integers(at), axis=0) for at in range(3))
        key = write.node("Transpose", key, perm=[0, 1, 3, 2])
    else:
        query, value = heads(linear(y, WIDTH), [0, 2, 1, 3]), heads(linear(y, WIDTH), [0, 2, 1, 3])
        key = heads(linear(y, WIDTH), [0, 2, 3, 1])
    weights = write.node("Mul", write.node("MatMul", query, key), write.floats((WIDTH / HEADS) ** -0.5))
    if masked:
        mask = np.zeros((1, 1, TOKENS, TOKENS))
        mask[..., :-2, -2:] = -np.inf
        weights = write.node("Add", weights, write.floats(mask))
    mixed = write.node("MatMul", write.node("Softmax", weights, axis=-1), value)
    mixed = write.node("Reshape", write.node("Transpose", mixed, perm=[0, 2, 1, 3]), write.integers([0, TOKENS, WIDTH]))
    x = write.node("Add", x, linear(mixed, WIDTH))
    y = linear(normalized(x), 2 * WIDTH)
    erf = write.node("Add", write.node("Erf", write.node("Div", y, write.floats(2**0.5))), write.floats(1))
    y = write.node("Mul", write.node("Mul", y, erf), write.floats(0.5))
    x = normalized(write.node("Add", x, linear(y, WIDTH, 2 * WIDTH)))
    return write.model(write.dense(write.node("ReduceMean", x, axes=[1], keepdims=0), WIDTH))
