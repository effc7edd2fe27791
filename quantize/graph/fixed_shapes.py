"""Shapes that the graph computes or leaves open although they are known, and the declared shape of its output."""

from __future__ import annotations

import math

import numpy as np
from onnx import ModelProto, helper

from quantize.graph.nodes import is_op
from quantize.graph.shape_inference import Shape, inferred_shapes
from quantize.graph.shape_values import Value, shape_values
from quantize.graph.wiring import Wiring


def fix_reshapes(model: ModelProto) -> None:
    """Let every Reshape of (N, ...) to (N, constants) take the constant shape (0, constants). In place.

    Exporters compute the shape (Shape, Gather, Concat) or leave the batch to be found out (-1) so that it can be of any
    size; a 0, "as it is", says that too, and shapes behind it can be inferred. What computed the shape is then dead.
    """
    shapes = inferred_shapes(model)
    wiring = Wiring(model.graph)
    values = shape_values(wiring, shapes)
    for node in wiring.nodes:
        if not is_op(node, "Reshape"):
            continue
        target = values.get(node.input[1], _stored(node.input[1], wiring))
        fixed = _keeping_batch(shapes.get(node.input[0]), target)
        if fixed is not None:
            node.input[1] = wiring.add_constant(f"{node.output[0]}_shape", np.array(fixed, dtype=np.int64))


def declare_output_shape(model: ModelProto) -> None:
    """Declare the output's shape as it follows from the input's, where it does. In place."""
    output = model.graph.output[0]
    shape = inferred_shapes(model).get(output.name)
    if shape is not None:
        output.CopyFrom(helper.make_tensor_value_info(output.name, output.type.tensor_type.elem_type, shape))


def _keeping_batch(source: Shape | None, target: Value | None) -> list[int] | None:
    """Return the constant shape that turns (N, ...) into (N, constants), where ``target`` means that."""
    if not source or not isinstance(source[0], str) or not isinstance(target, tuple) or not target:
        return None
    rest = [size for size in target[1:] if isinstance(size, int) and size]
    found_out = target[0] == -1 and math.prod(rest) == _product(source[1:])
    return [0, *rest] if len(rest) == len(target) - 1 and (target[0] == source[0] or found_out) else None


def _product(shape: Shape) -> int | None:
    """Return the number of elements, or None where a size is not known."""
    sizes = [size for size in shape if isinstance(size, int)]
    return math.prod(sizes) if len(sizes) == len(shape) else None


def _stored(name: str, wiring: Wiring) -> tuple[int, ...] | None:
    array = wiring.array(name)
    return tuple(int(size) for size in array) if array is not None and array.ndim == 1 else None
