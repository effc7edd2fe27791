"""Letting a model take any number of images at once."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from quantize.graph.nodes import is_op
from quantize.graph.wiring import Wiring

SYMBOL = "N"


def keep_batch_in_reshapes(model: ModelProto) -> bool:
    """Let every Reshape to a constant shape that begins with the batch begin with 0, "as it is". In place.

    The batch is the one that the input declares, or 1, which exporters write into shapes. Whether the model then
    computes the same for every batch is not decided here: several images have to be run at once.

    Returns:
        Whether there was one.
    """
    dimension = model.graph.input[0].type.tensor_type.shape.dim[0]
    batch = int(dimension.dim_value) or 1
    wiring = Wiring(model.graph)
    found = False
    for node in wiring.nodes:
        shape = wiring.array(node.input[1]) if is_op(node, "Reshape") else None
        if shape is not None and shape.ndim == 1 and shape.size and shape[0] == batch:
            node.input[1] = wiring.add_constant(f"{node.output[0]}_shape", np.array([0, *shape[1:]], dtype=np.int64))
            found = True
    return found


def set_batch(model: ModelProto, batch: int | str) -> None:
    """Declare the first dimension of input and output: a size, or a symbol for any. In place."""
    for value in (model.graph.input[0], model.graph.output[0]):
        dimension = value.type.tensor_type.shape.dim[0]
        if isinstance(batch, int):
            dimension.dim_value = batch
        else:
            dimension.dim_param = batch
