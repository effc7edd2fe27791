"""What a graph computes about its own shapes, as far as it follows from the input's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import NodeProto

from quantize.graph.nodes import attribute, is_op
from quantize.graph.shape_inference import Shape
from quantize.graph.wiring import Wiring

Value = tuple[int | str, ...] | int | str
"""A list of sizes or one size; a symbol stands for a size that is not known, such as the batch."""

_CARRIERS = ("Cast", "Identity")


def shape_values(wiring: Wiring, shapes: Mapping[str, Shape]) -> dict[str, Value]:
    """Return the values of the tensors that are computed from shapes by picking, joining and nothing else.

    Args:
        wiring: The graph.
        shapes: The inferred shapes of its tensors.
    """
    values: dict[str, Value] = {}
    for node in wiring.nodes:
        value = _value(node, wiring, shapes, values)
        if value is not None:
            values[node.output[0]] = value
    return values


def _value(node: NodeProto, wiring: Wiring, shapes: Mapping[str, Shape], values: Mapping[str, Value]) -> Value | None:
    if is_op(node, "Shape"):
        return _known(shapes.get(node.input[0]), attribute(node, "start", 0), attribute(node, "end"))
    if not node.input:
        return None
    inputs = [values.get(name, _constant(name, wiring)) for name in node.input]
    first = inputs[0]
    if first is None:
        return None
    if is_op(node, *_CARRIERS):
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


def _constant(name: str, wiring: Wiring) -> Value | None:
    array: Any = wiring.array(name) if name in wiring.constants else None
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
