"""How much of a model's arithmetic is in int8, read from the file alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx import ModelProto, NodeProto

from quantize.formats import canonical
from quantize.graph.nodes import ACTIVATIONS, WEIGHTED, attribute, is_op
from quantize.graph.shapes import Shape, inferred_shapes
from quantize.graph.view import Graph


@dataclass(frozen=True)
class Arithmetic:
    """Multiply-adds of one run on one image, of convolutions and matrix products.

    Attributes:
        total: All of them.
        int8: Those that onnxruntime computes on integers.
    """

    total: int
    int8: int

    @property
    def share(self) -> float | None:
        """Return the share in int8, a fraction; None for a model without products of known shape."""
        return self.int8 / self.total if self.total else None


def arithmetic_of(model: ModelProto) -> Arithmetic:
    """Return how many multiply-adds a model needs, and how many of them are in int8.

    A product counts as int8 where onnxruntime computes it on integers: a QLinear operator, or a float operator between
    DequantizeLinear and (but for matrix products) QuantizeLinear. Products of unknown shape are left out.

    Args:
        model: In any format, fp32 too.

    Raises:
        ModelError: A node cannot be expressed at opset 13.
    """
    plain = canonical(model)
    shapes = inferred_shapes(plain)
    graph = Graph.of(plain)
    total = integer = 0
    for node in graph.nodes:
        count = _count(node, shapes) if is_op(node, *WEIGHTED) else None
        if count is not None:
            total += count
            integer += count if _on_integers(graph, node) else 0
    return Arithmetic(total=total, int8=integer)


def _on_integers(graph: Graph, node: NodeProto) -> bool:
    sources = [graph.producer(name) for name in node.input[:2]]
    if not all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
        return False
    if node.op_type == "MatMul":
        return True
    output = node.output[0]
    while len(after := graph.consumers(output)) == 1 and after[0].op_type in ACTIVATIONS:
        output = after[0].output[0]
    # onnxruntime has a Gemm of integers with a float result (QGemm), but no such Conv.
    return node.op_type == "Gemm" or (bool(after) and all(reader.op_type == "QuantizeLinear" for reader in after))


def _count(node: NodeProto, shapes: dict[str, Shape]) -> int | None:
    data, weight, result = (_sizes(shapes.get(name)) for name in (node.input[0], node.input[1], node.output[0]))
    if data is None or weight is None or result is None:
        return None
    if node.op_type == "Conv":
        return math.prod(result[2:]) * math.prod(weight)
    if node.op_type == "ConvTranspose":
        return math.prod(data[2:]) * math.prod(weight)
    if node.op_type == "Gemm":
        return math.prod(result[1:]) * weight[1 if attribute(node, "transB", 0) else 0]
    return math.prod(result[1:]) * weight[-2 if len(weight) > 1 else 0]


def _sizes(shape: Shape | None) -> list[int] | None:
    """Return a shape's sizes with 1 for an open batch dimension, or None if another one is not known."""
    if shape is None or not all(isinstance(size, int) for size in shape[1:]):
        return None
    return [size if isinstance(size, int) else 1 for size in shape]
