"""Fold additions and multiplications by output into the Gemm, MatMul or ConvTranspose before them.

So a BatchNormalization behind a dense layer disappears, and so does the scale of a residual branch (ConvNeXt).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.graph.folding import Affine, affine_step
from quantize.graph.nodes import attribute, is_op
from quantize.graph.view import Graph


@dataclass(frozen=True)
class _Product:
    """A product with constant weights, whose outputs are one axis of these.

    Attributes:
        node: The product.
        bias: The node that adds its bias, and the position of that input; None: it has none.
        axis: The axis of the weights' outputs.
        outputs: How many there are.
    """

    node: NodeProto
    bias: tuple[NodeProto, int] | None
    axis: int
    outputs: int

    @property
    def last(self) -> NodeProto:
        """Return the node whose output is the product with its bias."""
        return self.node if self.bias is None else self.bias[0]


def fold_into_products(graph: Graph) -> None:
    """Fold what follows a Gemm, MatMul or ConvTranspose and scales or shifts each of its outputs.

    An Add behind a MatMul is its bias and stays; what follows that is folded into both. Gemms have to be plain
    (``plain_gemms``). The products are computed in float64 and stored in float32.
    """
    for node in list(graph.nodes):
        product = _product(graph, node)
        while product is not None:
            output = product.last.output[0]
            follower = graph.sole_consumer(output)
            is_norm = follower is not None and is_op(follower, "BatchNormalization")
            if is_norm and is_op(node, "MatMul"):  # it normalizes the second axis, which may be another one
                break
            of_channels = is_norm or is_op(node, "ConvTranspose")
            step = (
                None
                if follower is None
                else affine_step(graph, follower, output, product.outputs, last=not of_channels)
            )
            if follower is None or step is None or not _fold(graph, product, step):
                break
            graph.take_over(product.last, follower)
            product = _product(graph, node)


def _product(graph: Graph, node: NodeProto) -> _Product | None:
    weights = graph.constant(node.input[1]) if is_op(node, "Gemm", "MatMul", "ConvTranspose") else None
    if weights is None or weights.dtype != np.float32 or (weights.ndim != 2 and not is_op(node, "ConvTranspose")):
        return None
    if is_op(node, "MatMul"):
        outputs = int(weights.shape[1])
        return _Product(node, added_bias(graph, node, outputs), 1, outputs)
    if is_op(node, "ConvTranspose"):
        if attribute(node, "group", 1) != 1:
            return None
        axis = 1
    else:
        if attribute(node, "alpha", 1.0) != 1 or attribute(node, "beta", 1.0) != 1:
            return None
        axis = 0 if attribute(node, "transB", 0) else 1
    outputs = int(weights.shape[axis])
    if len(node.input) < 3 or not node.input[2]:
        return _Product(node, None, axis, outputs)
    bias = graph.constant(node.input[2])
    is_plain = bias is not None and bias.dtype == np.float32 and bias.shape == (outputs,)
    return _Product(node, (node, 2), axis, outputs) if is_plain else None


def added_bias(graph: Graph, node: NodeProto, outputs: int) -> tuple[NodeProto, int] | None:
    """Return the Add behind a MatMul that is its bias, one number an output, and the input that holds it."""
    add = graph.sole_consumer(node.output[0])
    if add is None or not is_op(add, "Add"):
        return None
    position = 1 if add.input[0] == node.output[0] else 0
    bias = graph.constant(add.input[position])
    return (add, position) if bias is not None and bias.shape == (outputs,) and bias.dtype == np.float32 else None


def _fold(graph: Graph, product: _Product, step: Affine) -> bool:
    node, weights = product.node, graph.constant(product.node.input[1])
    assert weights is not None
    if product.bias is None and step.shift.any():
        if is_op(node, "MatMul"):
            return False  # the Add behind it is its bias
        _replace(graph, node, 2, f"{node.input[1]}_bias", step.shift)
    elif product.bias is not None:
        add, position = product.bias
        bias = graph.constant(add.input[position])
        assert bias is not None
        _replace(graph, add, position, add.input[position], bias * step.scale + step.shift)
    if (step.scale != 1).any():
        shape = [1] * weights.ndim
        shape[product.axis] = -1
        _replace(graph, node, 1, node.input[1], weights.astype(np.float64) * step.scale.reshape(shape))
    return True


def _replace(graph: Graph, node: NodeProto, position: int, hint: str, values: NDArray[np.float64]) -> None:
    name = graph.add_constant(f"{hint.removesuffix('_folded')}_folded", values.astype(np.float32))
    graph.set_input(node, position, name)
