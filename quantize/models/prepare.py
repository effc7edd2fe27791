"""Any fp32 classifier in; one clean model out, so that no other room needs to know of special cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx.checker
import onnx.defs
import onnx.inliner
import onnx.shape_inference
from numpy.typing import NDArray
from onnx import ModelProto, helper

from quantize.errors import ModelError
from quantize.graph.cleaning import (
    free_initializers,
    name_nodes,
    remove_dead_code,
    remove_pass_through,
    rename_sums,
)
from quantize.graph.fixed_shapes import declare_output_shape, fix_reshapes
from quantize.graph.folding import fold_affine, merge_padding
from quantize.graph.nodes import default_opset
from quantize.graph.opsets.raising import raise_graph, raise_opset
from quantize.graph.shapes import inferred_shapes
from quantize.graph.view import Graph
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.batch_dimension import SYMBOL, keep_batch_in_reshapes, set_batch
from quantize.models.equivalence import RUN_ERRORS, Scorer, check_images, largest_difference
from quantize.models.folding import fold_constants
from quantize.models.reading import read_model
from quantize.models.refusals import refuse_unsuitable

LOWEST_PREPARED_OPSET = 12
"""QLinear models are of this opset or the input's, whichever is newer (QDQ: 13, which ``raise_opset`` gives)."""

OLDEST_RUN_OPSET = 7
"""onnxruntime promises to run models from this opset on."""

TOLERANCE = 1e-5
"""Largest difference of the prepared model's scores, relative to the image's largest score where that exceeds 1."""


def prepare(source: Path, destination: Path, *, opset: int | None = None) -> ModelArtifact:
    """Write the clean form of an fp32 image classifier, after proving that it computes the same.

    Weights that are graph inputs are freed, and what the graph computes from constants is stored. Dropout, Identity,
    dead nodes, unread inputs, unused operator sets and stored shapes go. Sum of two becomes Add. Padding with zeros and
    BatchNormalization become part of the Conv beside them. Every node has a name. The opset is raised. The batch is
    symbolic where the graph allows it; else ``contract.fixed_batch`` says its size.

    Args:
        source: ONNX file of opset 3 to the newest that onnxruntime reads, that ``refuse_unsuitable`` lets pass.
        destination: The file to write; one file whatever the source.
        opset: Lowest opset of the result, by default 12. A newer one of the source stays, unless it is too new for the
            installed onnx: then the newest that this onnx knows is declared.

    Returns:
        The written model. The same source gives the same bytes.

    Raises:
        ModelError: The file cannot be taken, for the reason that the error says.
        RuntimeError: The clean model does not give the source's scores to 1e-5 (a bug).
    """
    where = str(source)
    model = _readable(read_model(source))
    refuse_unsuitable(model, where)
    declare_output_shape(model.graph, inferred_shapes(model))
    if default_opset(model) < OLDEST_RUN_OPSET:
        model = raise_opset(model, OLDEST_RUN_OPSET, where=where)
    reference = Scorer.of(model, where)
    images = check_images(reference.contract)
    expected = _reference_scores(reference, images, where)

    model = _simplified(model, max(LOWEST_PREPARED_OPSET, opset or 0), where)
    prepared = _with_any_batch(model, images, expected) or _with_fixed_batch(model, images, expected, reference)
    _check(prepared, where)
    return save_model(prepared, destination)


def _readable(model: ModelProto) -> ModelProto:
    """Return the model with its weights as initializers only, without functions and dead nodes; any opset."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    graph = _view(model)
    free_initializers(graph)
    remove_dead_code(graph)
    return graph.model()


def _view(model: ModelProto) -> Graph:
    return Graph(model, numbers_from=2)


def _simplified(model: ModelProto, opset: int, where: str) -> ModelProto:
    graph = _view(model)
    graph.opset = min(graph.opset, onnx.defs.onnx_opset_version())
    raise_graph(graph, opset, where=where)
    rename_sums(graph)
    fold_constants(graph)
    remove_pass_through(graph)
    remove_dead_code(graph)
    merge_padding(graph)
    fold_affine(graph)
    return _finished(graph)


def _finished(graph: Graph) -> ModelProto:
    remove_dead_code(graph)
    name_nodes(graph.nodes)
    model = graph.model()
    model.ir_version = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    return model


def _with_any_batch(model: ModelProto, images: NDArray[np.float32], expected: NDArray[np.float32]) -> ModelProto | None:
    """Return the model with a symbolic batch where it is proven to take one image and several, else None."""
    for edit_reshapes in (True, False):
        graph = _view(model)
        if edit_reshapes and not keep_batch_in_reshapes(graph):
            continue
        set_batch(graph.proto, SYMBOL)
        try:
            fix_reshapes(graph)
            declare_output_shape(graph.proto, graph.shapes())
            set_batch(graph.proto, SYMBOL)
            candidate = _finished(graph)
            scorer = Scorer.of(candidate)
            found = [scorer.scores(images, size) for size in (1, len(images))]
        except (*RUN_ERRORS, ModelError, onnx.shape_inference.InferenceError):
            continue
        if all(largest_difference(expected, scores) <= TOLERANCE for scores in found):
            return candidate
    return None


def _with_fixed_batch(
    model: ModelProto, images: NDArray[np.float32], expected: NDArray[np.float32], reference: Scorer
) -> ModelProto:
    set_batch(model.graph, reference.contract.fixed_batch or 1)
    difference = largest_difference(expected, Scorer.of(model).scores(images, 1))
    if difference > TOLERANCE:
        raise RuntimeError(f"the prepared model's scores differ from the source's by {difference:.2g}")
    return model


def _reference_scores(reference: Scorer, images: NDArray[np.float32], where: str) -> NDArray[np.float32]:
    try:
        return reference.scores(images, 1)
    except RUN_ERRORS as error:
        raise ModelError(
            f"the model cannot be run on an image of {images.shape[2]}x{images.shape[3]} pixels",
            where=where,
            found=str(error).strip(),
            expected="class scores for one image",
        ) from error


def _check(model: ModelProto, where: str) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError("the model is not valid ONNX", where=where, found=str(error).strip()) from error
