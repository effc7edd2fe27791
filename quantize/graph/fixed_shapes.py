"""Make known shapes constant where the graph computes or omits them, and declare the shape of its output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, helper

from quantize.graph.nodes import attribute, is_op
from quantize.graph.shapes import Shape, fixed_sizes
from quantize.graph.view import Graph

Value = tuple[int | str, ...] | int | str
"""A list of sizes or one size; a symbol stands for a size that is not known, such as the batch."""


def fix_reshapes(graph: Graph) -> None:
    """Let every Reshape of (N, ...) to (N, constants) take the constant shape (0, constants).

    Exporters compute the shape (Shape, Gather, Concat) or leave the batch to be found out (-1) so that it can be of any
    size; a 0, "as it is", says that too, and shapes behind it can be inferred. What computed the shape is then dead.
    So it goes on, Reshape behind Reshape, until no further one becomes known.
    """
    reshapes = [node for node in graph.nodes if is_op(node, "Reshape")]
    while _fix(graph, reshapes):
        reshapes = [node for node in reshapes if graph.constant(node.input[1]) is None]


def _fix(graph: Graph, reshapes: Sequence[NodeProto]) -> bool:
    """Fix those of the Reshapes whose shapes can be known now; return whether there were."""
    if not reshapes:
        return False
    shapes = graph.shapes()
    values = shape_values(graph, shapes)
    alive, found = {id(node) for node in graph.nodes}, False
    for node in reshapes:
        if id(node) not in alive:
            continue
        target = values.get(node.input[1], _constant(graph, node.input[1]))
        fixed = _keeping_batch(shapes.get(node.input[0]), target)
        if fixed is not None:
            graph.set_input(node, 1, graph.add_constant(f"{node.output[0]}_shape", np.array(fixed, dtype=np.int64)))
            found = True
    return found


def declare_output_shape(graph: GraphProto, shapes: Mapping[str, Shape]) -> None:
    """Declare the output's shape if it follows from the input's. In place."""
    output = graph.output[0]
    shape = shapes.get(output.name)
    if shape is not None:
        output.CopyFrom(helper.make_tensor_value_info(output.name, output.type.tensor_type.elem_type, shape))


def _keeping_batch(source: Shape | None, target: Value | None) -> list[int] | None:
    """Return the constant shape that turns (N, ...) into (N, constants), where ``target`` means that."""
    if not source or not isinstance(source[0], str) or not isinstance(target, tuple) or not target:
        return None
    rest = [size for size in target[1:] if isinstance(size, int) and size]
    sizes = fixed_sizes(source[1:])
    inferred = target[0] == -1 and sizes is not None and math.prod(rest) == math.prod(sizes)
    return [0, *rest] if len(rest) == len(target) - 1 and (target[0] == source[0] or inferred) else None


def shape_values(graph: Graph, shapes: Mapping[str, Shape]) -> dict[str, Value]:
    """Return the values of the tensors that are computed from shapes by picking, joining and nothing else."""
    values: dict[str, Value] = {}
    for node in graph.nodes:
        value = _value(graph, node, shapes, values)
        if value is not None:
            values[node.output[0]] = value
    return values


def _value(graph: Graph, node: NodeProto, shapes: Mapping[str, Shape], values: Mapping[str, Value]) -> Value | None:
    if is_op(node, "Shape"):
        return _known(shapes.get(node.input[0]), attribute(node, "start", 0), attribute(node, "end"))
    if not node.input:
        return None
    inputs = [values.get(name, _constant(graph, name)) for name in node.input]
    first = inputs[0]
    if first is None:
        return None
    if is_op(node, "Cast", "Identity"):
        return first
    if is_op(node, "Unsqueeze"):
        return (first,) if not isinstance(first, tuple) else None
    if is_op(node, "Squeeze"):
        return first[0] if isinstance(first, tuple) and len(first) == 1 else None
    if is_op(node, "Gather") and isinstance(first, tuple):
        return _gather(first, inputs[1])
    if is_op(node, "Slice") and isinstance(first, tuple):
        return _slice(first, inputs[1:])
    if is_op(node, "Concat") and all(isinstance(part, tuple) for part in inputs):
        return tuple(size for part in inputs if isinstance(part, tuple) for size in part)
    return None


def _known(shape: Shape | None, start: int, end: int | None) -> Value | None:
    if shape is None or any(size is None for size in shape[start:end]):
        return None
    return tuple(size for size in shape[start:end] if size is not None)


def _constant(graph: Graph, name: str) -> Value | None:
    array: Any = graph.constant(name)
    if array is None or array.ndim > 1 or not np.issubdtype(array.dtype, np.integer):
        return None
    return int(array) if array.ndim == 0 else tuple(int(size) for size in array)


def _gather(sizes: tuple[int | str, ...], index: Value | None) -> Value | None:
    if isinstance(index, int):
        return sizes[index]
    if isinstance(index, tuple):
        picked = [sizes[position] for position in index if isinstance(position, int)]
        return tuple(picked) if len(picked) == len(index) else None
    return None


def _slice(sizes: tuple[int | str, ...], bounds: list[Value | None]) -> Value | None:
    defaults: list[Value | None] = [None, None, (0,), (1,)]
    start, end, axis, step = bounds + defaults[len(bounds) :]
    if not (isinstance(start, tuple) and isinstance(end, tuple) and axis in ((0,), (-1,)) and step == (1,)):
        return None
    (first,), (last,) = start, end
    return sizes[first:last] if isinstance(first, int) and isinstance(last, int) else None
