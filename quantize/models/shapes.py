"""Shapes that the graph computes although they are known, and the declared shape of its output."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from quantize.models.inference import inferred_shapes
from quantize.models.nodes import is_op
from quantize.models.shape_values import shape_values
from quantize.models.wiring import Wiring


def fix_computed_shapes(model: ModelProto) -> None:
    """Let every Reshape of (N, ...) to (N, constants) take a constant shape instead of a computed one. In place.

    Exporters compute it (Shape, Gather, Concat) so that the batch can be of any size; a 0 in a constant says that too.
    The nodes that computed it are then dead code.
    """
    shapes = inferred_shapes(model)
    wiring = Wiring(model.graph)
    values = shape_values(wiring, shapes)
    for node in wiring.nodes:
        target, source = values.get(node.input[1]) if is_op(node, "Reshape") else None, shapes.get(node.input[0])
        if not isinstance(target, tuple) or not target or not source:
            continue
        rest = [size for size in target[1:] if isinstance(size, int) and size]
        if isinstance(source[0], str) and source[0] == target[0] and len(rest) == len(target) - 1:
            node.input[1] = wiring.add_constant(f"{node.output[0]}_shape", np.array([0, *rest], dtype=np.int64))


def declare_output_shape(model: ModelProto) -> None:
    """Declare the output's sizes as they follow from the input's, where they do. In place."""
    output = model.graph.output[0]
    for dimension, size in zip(output.type.tensor_type.shape.dim, inferred_shapes(model)[output.name], strict=True):
        if isinstance(size, int):
            dimension.dim_value = size
        elif size is not None:
            dimension.dim_param = size
