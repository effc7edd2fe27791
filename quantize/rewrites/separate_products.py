"""A product whose columns are parted for several readers, as a product for each part.

Attention's queries, keys and values are one product in most exports: a Reshape parts its columns in three, a Transpose
moves the parts to the front, and a Gather or Split takes each. onnxruntime copies all values to part them. As products
of their own, each with its share of the weights, nothing is parted; every column is summed as before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.formats.parameters import Parameters, add_dequantize, new_parameters
from quantize.formats.qdq_pattern import QuantizedInput, constant_integers, quantized_input
from quantize.formats.twins import part_name
from quantize.graph.nodes import attribute, is_op
from quantize.graph.product_folding import added_bias
from quantize.graph.shapes import Shape
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower


@dataclass(frozen=True, eq=False)
class _Product:
    """A product of dequantized tensors whose right one is constant, (inputs, columns), and the Reshape behind it.

    Attributes:
        node: The product.
        weights: Its weights.
        integers: Their values.
        bias: The Add of its bias, and which input holds that; None: it has none.
        reshape: What alone reads it.
    """

    node: NodeProto
    weights: QuantizedInput
    integers: NDArray[Any]
    bias: tuple[NodeProto, int] | None
    reshape: NodeProto


@dataclass(frozen=True)
class _Parting:
    """How columns are parted: where all but the axis of the parts go, by which nodes, and the tensors of each part."""

    target: tuple[int, ...]
    perm: tuple[int, ...]
    nodes: tuple[NodeProto, ...]
    parts: tuple[tuple[str, ...], ...]


def _apply(graph: Graph) -> Sequence[str]:
    products = [_product(graph, node) for node in graph.sorted_nodes() if is_op(node, "MatMul")]
    found = [product for product in products if product is not None]
    shapes = graph.shapes() if found else {}
    changed = []
    for product in found:
        parting = _parting(graph, product.reshape, shapes)
        if parting is not None:
            _separate(graph, product, parting)
            changed.append(product.node.name)
    return changed


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    return [f"{node.name} is one product still" for node in graph.nodes if node.name in names]


def _product(graph: Graph, node: NodeProto) -> _Product | None:
    weights = constant_integers(graph, node.input[1])
    if weights is None or weights[1].ndim != 2 or quantized_input(graph, node.input[0]) is None:
        return None
    source, integers = weights
    if source.by.axis not in (None, 1, -1) or graph.sole_consumer(node.input[1]) is not node:
        return None
    bias = added_bias(graph, node, integers.shape[1])
    last: NodeProto = node if bias is None else bias[0]
    reshape = graph.sole_consumer(last.output[0])
    if reshape is None or not is_op(reshape, "Reshape") or reshape.input[0] != last.output[0]:
        return None
    return _Product(node, source, integers, bias, reshape)


def _parting(graph: Graph, reshape: NodeProto, shapes: dict[str, Shape]) -> _Parting | None:
    target, transpose = graph.constant(reshape.input[1]), graph.sole_consumer(reshape.output[0])
    given, made = shapes.get(reshape.input[0]), shapes.get(reshape.output[0])
    if target is None or transpose is None or not is_op(transpose, "Transpose") or not given or not made:
        return None
    perm = tuple(attribute(transpose, "perm", range(len(made))[::-1]))
    axis, sizes = perm[0], target[perm[0] :]
    whole = math.prod(int(size) for size in sizes) == given[-1] and sizes.min() > 0
    kept = axis == len(given) - 1 and all(
        size == 0 or (own == before and own is not None)
        for size, own, before in zip(target[:axis], made, given, strict=False)
    )
    if attribute(reshape, "allowzero", 0) or not whole or not kept or target[axis] < 2:
        return None
    taken = _taken(graph, transpose.output[0], int(target[axis]))
    if taken is None:
        return None
    nodes, parts = taken
    rest = tuple(int(size) for size in np.delete(target, axis))
    turned = tuple(place - (place > axis) for place in perm[1:])
    return _Parting(rest, turned, (reshape, transpose, *nodes), parts)


def _taken(graph: Graph, name: str, count: int) -> tuple[list[NodeProto], tuple[tuple[str, ...], ...]] | None:
    """Return the nodes that take the parts of a tensor apart along its first axis, and the names of each part."""
    readers = graph.consumers(name)
    parts: list[list[str]] = [[] for _ in range(count)]
    if graph.is_output(name) or not readers:
        return None
    if len(readers) == 1 and is_op(readers[0], "Split"):
        split = readers[0]
        squeezes = [graph.sole_consumer(output) for output in split.output]
        if attribute(split, "axis", 0) != 0 or len(squeezes) != count:
            return None
        for at, squeeze in enumerate(squeezes):
            if squeeze is None or not is_op(squeeze, "Squeeze") or _axes(graph, squeeze) != [0]:
                return None
            parts[at].append(squeeze.output[0])
        return [split, *(node for node in squeezes if node is not None)], tuple(map(tuple, parts))
    for node in readers:
        place = graph.constant(node.input[1]) if is_op(node, "Gather") else None
        if place is None or place.ndim or attribute(node, "axis", 0) != 0 or graph.bodies(node):
            return None
        parts[int(place) % count].append(node.output[0])
    if any(graph.is_output(name) for names in parts for name in names[1:]):
        return None  # a declared output keeps its own maker
    return readers, tuple(map(tuple, parts))


def _axes(graph: Graph, squeeze: NodeProto) -> list[int] | None:
    values = graph.constant(squeeze.input[1]) if len(squeeze.input) > 1 else None
    return None if values is None else [int(axis) for axis in values]


def _separate(graph: Graph, product: _Product, parting: _Parting) -> None:
    bias = None if product.bias is None else graph.constant(product.bias[0].input[product.bias[1]])
    width, given = product.integers.shape[1] // len(parting.parts), product.node.input[0]
    graph.remove([product.node, *(() if product.bias is None else product.bias[:1]), *parting.nodes])
    target = graph.add_constant(f"{product.node.name}_part_shape", np.array(parting.target, np.int64))
    for at, names in enumerate(parting.parts):
        if not names:
            continue
        columns, name = slice(at * width, (at + 1) * width), part_name(product.node.name, at)
        by = _columns(graph, product.weights.by, columns, name)
        weights = add_dequantize(graph, graph.add_constant(f"{name}_weights", product.integers[:, columns]), by)
        values = graph.fresh(name)
        graph.add("MatMul", [given, weights], [values], name=name)
        if bias is not None:
            added = graph.add_constant(f"{name}_bias", bias[columns])
            summed = graph.fresh(f"{name}_sum")
            graph.add("Add", [values, added], [summed], name=f"{name}_Add")
            values = summed
        parted = graph.fresh(f"{name}_parted")
        graph.add("Reshape", [values, target], [parted], name=f"{name}_Reshape")
        graph.add("Transpose", [parted], [names[0]], name=f"{name}_Transpose", perm=parting.perm)
        for other in names[1:]:
            graph.replace_uses(other, names[0])


def _columns(graph: Graph, by: Parameters, columns: slice, name: str) -> Parameters:
    if by.axis is None:
        return by
    return new_parameters(graph, name, by.scale[columns], by.zero_point[columns], 1)


SEPARATE_PRODUCTS = Rewrite("separate-products", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Every product with quantized constant weights whose columns are parted behind it, as in attention."""
