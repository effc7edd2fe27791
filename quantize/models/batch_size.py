"""The batch of a prepared model: any where several images at once prove it, else the source's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx.shape_inference
from onnx import GraphProto, ModelProto

from quantize.errors import ModelError
from quantize.graph.fixed_shapes import declare_output_shape, fix_reshapes
from quantize.graph.nodes import is_op
from quantize.graph.view import Graph
from quantize.models.contract import model_contract
from quantize.models.equivalence import RUN_ERRORS, Reference
from quantize.models.simplification import finished, view

TOLERANCE = 1e-5
"""Largest difference of the prepared model's scores, relative to the image's largest score where that exceeds 1."""

ANY_BATCH = "N"

_NOT_RUN: tuple[type[Exception], ...] = (ModelError, *RUN_ERRORS)


def with_any_batch(plain: Callable[[], ModelProto], reference: Reference) -> ModelProto | None:
    """Return a model with a symbolic batch if it is proven to take one image and several, else None.

    Args:
        plain: Makes the model. It is called for each form that is tried, and none is held beside the session that runs
            it: a large model's weights lie in memory too often as it is.
        reference: Its images and scores.
    """
    prepared, edited = _of_any_batch(plain, reference, edit_reshapes=True)
    if prepared is None and edited:
        prepared, _ = _of_any_batch(plain, reference, edit_reshapes=False)
    return prepared


def _of_any_batch(
    plain: Callable[[], ModelProto], reference: Reference, *, edit_reshapes: bool
) -> tuple[ModelProto | None, bool]:
    """Return the proven model, None where it is not, and whether there was a Reshape to edit."""
    graph = view(plain())
    edited = edit_reshapes and _keep_batch_in_reshapes(graph)
    set_batch(graph.proto, ANY_BATCH)
    try:
        fix_reshapes(graph)
        declare_output_shape(graph.proto, graph.shapes())
        set_batch(graph.proto, ANY_BATCH)
        candidate = finished(graph)
        del graph
        content, contract = candidate.SerializeToString(deterministic=True), model_contract(candidate)
        del candidate
        difference = reference.largest_difference(content, contract, 1, len(reference.images))
    except (*_NOT_RUN, onnx.shape_inference.InferenceError):
        return None, edited
    return ModelProto.FromString(content) if difference <= TOLERANCE else None, edited


def with_fixed_batch(model: ModelProto, reference: Reference) -> tuple[ModelProto, float]:
    """Return the model with the batch that its source was proven to take, and how much its scores differ.

    Above ``TOLERANCE`` it does not compute what the source does.
    """
    set_batch(model.graph, reference.contract.fixed_batch or 1)
    return model, reference.largest_difference(model.SerializeToString(), model_contract(model), 1)


def mixes_images(model: ModelProto, reference: Reference) -> bool:
    """Return whether a model gives several images other scores than each alone, or none."""
    try:
        difference = reference.largest_difference(model.SerializeToString(), reference.contract, len(reference.images))
    except _NOT_RUN:
        return True
    return difference > TOLERANCE


def _keep_batch_in_reshapes(graph: Graph) -> bool:
    """Make every Reshape to a constant shape that begins with the batch begin with 0, "as it is".

    The batch is the one that the input declares, or 1, which exporters write into shapes. Whether the model then
    computes the same for every batch is not decided here: several images have to be run at once.

    Returns:
        Whether there was such a Reshape.
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
    """Declare the first dimension of the image, the scores and what else is by image: a size or a symbol. In place."""
    image, scores, others = graph.input[0], graph.output[0], list(graph.output)[1:]
    batch_before = image.type.tensor_type.shape.dim[0].SerializeToString()
    by_image = [
        value
        for value in others
        if (sizes := value.type.tensor_type.shape.dim) and sizes[0].SerializeToString() == batch_before
    ]
    for value in (image, scores, *by_image):
        dimension = value.type.tensor_type.shape.dim[0]
        if isinstance(batch, int):
            dimension.dim_value = batch
        else:
            dimension.dim_param = batch
