"""Letting a model take any number of images at once."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto

from quantize.graph.nodes import is_op
from quantize.graph.view import Graph

SYMBOL = "N"


def keep_batch_in_reshapes(graph: Graph) -> bool:
    """Let every Reshape to a constant shape that begins with the batch begin with 0, "as it is".

    The batch is the one that the input declares, or 1, which exporters write into shapes. Whether the model then
    computes the same for every batch is not decided here: several images have to be run at once.

    Returns:
        Whether there was one.
    """
    dimension = graph.proto.input[0].type.tensor_type.shape.dim[0]
    batch = int(dimension.dim_value) or 1
    changed = False
    for node in list(graph.nodes):
        shape = graph.constant(node.input[1]) if is_op(node, "Reshape") else None
        if shape is not None and shape.ndim == 1 and shape.size and shape[0] == batch:
            name = graph.add_constant(f"{node.output[0]}_shape", np.array([0, *shape[1:]], dtype=np.int64))
            graph.set_input(node, 1, name)
            changed = True
    return changed


def set_batch(graph: GraphProto, batch: int | str) -> None:
    """Declare the first dimension of input and output: a size, or a symbol for any. In place."""
    for value in (graph.input[0], graph.output[0]):
        dimension = value.type.tensor_type.shape.dim[0]
        if isinstance(batch, int):
            dimension.dim_value = batch
        else:
            dimension.dim_param = batch
