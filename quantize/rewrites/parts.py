"""Which part of its inputs a node needs for a part of its output: the same places along one axis of each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from onnx import NodeProto

from quantize.graph.nodes import attribute, is_op
from quantize.graph.regions import CURVED
from quantize.graph.shapes import Shape
from quantize.graph.view import Graph

_BY_VALUE = (*CURVED, "Abs", "Cast", "Clip", "Identity", "Neg", "Relu")
_JOINING = ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub")


def needed_axes(graph: Graph, node: NodeProto, axis: int, shapes: Mapping[str, Shape]) -> dict[int, int] | None:
    """Return the axis of each input along which a node needs the places that are taken of its output's.

    Args:
        graph: The node's graph, of opset 13 or later.
        node: A node with one output.
        axis: Of its output, from the first.
        shapes: Shapes of the graph's tensors.

    Returns:
        By the input's position; an input that is needed whole is missing. None if the node does not treat the places
        along this axis apart from one another, or not known to do so.
    """
    given, made = (shapes.get(name) for name in (node.input[0], node.output[0]))
    if given is None or made is None or len([name for name in node.output if name]) != 1:
        return None
    if is_op(node, *_JOINING):
        return _joined(node, axis, shapes, len(made))
    if is_op(node, *_BY_VALUE):
        return {0: axis}
    if is_op(node, "LayerNormalization", "Softmax"):
        normalized = attribute(node, "axis", -1) % len(made)
        apart = axis < normalized if is_op(node, "LayerNormalization") else axis != normalized
        return {0: axis} if apart else None
    if is_op(node, "ReduceMean"):
        return _reduced(graph, node, axis, len(made))
    if is_op(node, "MatMul"):
        return {0: len(given) - 2} if axis == len(made) - 2 and len(given) > 1 else None
    if is_op(node, "Transpose"):
        return {0: attribute(node, "perm", range(len(made))[::-1])[axis]}
    if is_op(node, "Reshape"):
        return _reshaped(node, axis, given, made)
    return None


def _joined(node: NodeProto, axis: int, shapes: Mapping[str, Shape], rank: int) -> dict[int, int] | None:
    """Return the axes of operands that are broadcast: those of one place along the axis are needed whole."""
    needed = {}
    for position, name in enumerate(node.input):
        shape = shapes.get(name)
        if shape is None:
            return None
        own = axis - rank + len(shape)
        if own >= 0 and shape[own] != 1:
            needed[position] = own
    return needed


def _reduced(graph: Graph, node: NodeProto, axis: int, rank: int) -> dict[int, int] | None:
    axes = attribute(node, "axes")
    if len(node.input) > 1 and node.input[1]:
        axes = graph.constant(node.input[1])
    if axes is None or not attribute(node, "keepdims", 1) or axis in {int(one) % rank for one in axes}:
        return None
    return {0: axis}


def _reshaped(node: NodeProto, axis: int, given: Shape, made: Shape) -> dict[int, int] | None:
    """Return the axis that a Reshape keeps as it is: of the same size, and with as many values before it."""
    if attribute(node, "allowzero", 0):
        return None
    for own, size in enumerate(given):
        if size == made[axis] and _alike(given[:own], made[:axis]):
            return {0: own}
    return None


def _alike(given: Shape, made: Shape) -> bool:
    """Return whether two shapes hold as many values, symbols being what they are in both."""
    if None in given or None in made:
        return False
    symbols = [sorted(size for size in shape if isinstance(size, str)) for shape in (given, made)]
    counts = [math.prod(size for size in shape if isinstance(size, int)) for shape in (given, made)]
    return symbols[0] == symbols[1] and counts[0] == counts[1]
