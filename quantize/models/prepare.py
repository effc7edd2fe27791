"""Turn any fp32 classifier into a clean model, so that no other room needs special cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx.checker
import onnx.defs
import onnx.inliner
import onnx.shape_inference
from onnx import GraphProto, ModelProto, helper

from quantize.errors import ModelError
from quantize.graph.bodies import read_through_identity
from quantize.graph.branches import store_known_sizes, take_known_branches
from quantize.graph.channels_first import cancel_transposes, take_channels_first
from quantize.graph.cleaning import (
    free_initializers,
    name_nodes,
    remove_dead_code,
    remove_pass_through,
    rename_namesakes,
    rename_sums,
)
from quantize.graph.fixed_shapes import declare_output_shape, fix_reshapes
from quantize.graph.folding import fold_affine, merge_padding
from quantize.graph.forward_folding import fold_forward
from quantize.graph.nodes import DEFAULT_DOMAIN, all_nodes, default_opset, is_op
from quantize.graph.opsets.raising import raise_graph, raise_opset
from quantize.graph.plain_forms import drop_empty_pieces, merge_activations
from quantize.graph.plain_gemms import plain_gemms
from quantize.graph.product_folding import fold_into_products
from quantize.graph.shapes import inferred_shapes, inferred_types
from quantize.graph.view import Graph
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.contract import SCORE_TASK, model_contract
from quantize.models.ending import Ending, cut, exposed
from quantize.models.equivalence import RUN_ERRORS, Reference
from quantize.models.float32 import in_float32, other_floats
from quantize.models.folding import fold_constants
from quantize.models.given_form import GivenForm
from quantize.models.reading import read_model
from quantize.models.refusals import refuse_unsuitable
from quantize.models.score_tensor import say
from quantize.models.versions import known_opset, with_read_versions

LOWEST_PREPARED_OPSET = 12
"""QLinear models are of this opset or the input's, whichever is newer (QDQ: 13, which ``raise_opset`` gives)."""

OLDEST_RUN_OPSET = 7
"""onnxruntime promises to run models from this opset on."""

TOLERANCE = 1e-5
"""Largest difference of the prepared model's scores, relative to the image's largest score where that exceeds 1."""

_ANY_BATCH = "N"


@dataclass(frozen=True)
class PreparedModel:
    """The clean form of a classifier.

    Attributes:
        model: The model, whose first output is its scores; nothing in it is computed from them.
        ending: What its file gives beyond that; None: nothing.
        form: The layout and the types that its file takes and gives.
        floats: The floating-point types other than float32 that the file is in.
        whole: The model with its ending and in its form: the baseline of the written files, which have both.
        notes: What was changed that its user should know, in sentences.
    """

    model: ModelArtifact
    ending: Ending | None
    form: GivenForm
    whole: ModelArtifact
    floats: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def prepare(
    source: Path,
    destination: Path,
    *,
    opset: int | None = None,
    score_output: str | None = None,
    model: ModelProto | None = None,
) -> ModelArtifact:
    """Write the clean form of an fp32 image classifier without its ending, see ``prepare_whole``."""
    return prepare_whole(source, destination, opset=opset, score_output=score_output, model=model).model


def prepare_whole(
    source: Path,
    destination: Path,
    *,
    opset: int | None = None,
    score_output: str | None = None,
    model: ModelProto | None = None,
    of_labels: bool = False,
) -> PreparedModel:
    """Write the clean form of an fp32 image classifier, after proving that it computes the same.

    It is in float32 and takes its image with the channels first, whatever the source does.
    Weights that are graph inputs are freed, and what the graph computes from constants is stored. Dropout, Identity,
    dead nodes, unread inputs, unused operator sets and stored shapes go. Sum of two becomes Add. Padding with zeros and
    BatchNormalization become part of the neighbouring Conv, or of the Gemm or MatMul before it; the factors of a Gemm
    become part of its weight and bias.
    Every node has a name. The opset is raised. The batch is symbolic where the graph allows it; else
    ``contract.fixed_batch`` says its size.

    Args:
        source: ONNX file of opset 3 to the newest that onnxruntime reads, that ``refuse_unsuitable`` lets pass.
        destination: The file to write; one file whatever the source.
        opset: Lowest opset of the result, by default 12. A newer one of the source stays, unless it is too new for the
            installed onnx: then the newest that this onnx knows is declared.
        score_output: The output that holds the scores, where several could.
        model: What to prepare instead of what the file holds, such as its model without quantization.
        of_labels: Whether the scores are those of labels, of which an image may have several.

    Returns:
        The written model. The same source gives the same bytes. Where its file gives more than scores, or has another
        form, the whole model lies beside it.

    Raises:
        ModelError: The file cannot be taken, for the reason that the error says.
        RuntimeError: The clean model does not give the source's scores to 1e-5 (a bug).
    """
    where = str(source)
    model, notes = with_read_versions(read_model(source) if model is None else model, where)
    notes += tuple(rename_namesakes(model.graph))
    model = _readable(model)
    refuse_unsuitable(model, where, score_output=score_output)
    given, floats = model, other_floats(model)
    model = in_float32(model)
    outputs = tuple(value.name for value in model.graph.output)
    contract = model_contract(model, where=where, score_output=score_output)
    if outputs != (contract.output.name,):
        model = exposed(model, contract)
    if of_labels and contract.task == "one class":
        say(model, SCORE_TASK, "labels")
    declare_output_shape(model.graph, inferred_shapes(model))
    if default_opset(model) < OLDEST_RUN_OPSET:
        model = raise_opset(model, OLDEST_RUN_OPSET, where=where)
    reference = Reference.of(model, where)
    model = _simplified(model, max(LOWEST_PREPARED_OPSET, opset or 0), where)
    prepared = _with_any_batch(model, reference) or _with_fixed_batch(model, reference)
    _refuse_invalid(prepared, where)
    core, ending = cut(prepared, outputs)
    written = save_model(core, destination)
    form = GivenForm.of(given, contract)
    if ending is None and form.is_plain:
        return PreparedModel(written, None, form, written, floats, notes)
    whole = form.applied(core if ending is None else ending.attached(core))
    return PreparedModel(written, ending, form, save_model(whole, _whole_path(destination)), floats, notes)


def _whole_path(destination: Path) -> Path:
    """Return where a prepared model lies with its ending and in its form."""
    return destination.with_stem(f"{destination.stem}-whole")


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
    _refuse_unknown(graph, where)
    graph.opset = known_opset(graph.opset)
    raise_graph(graph, opset, where=where)
    rename_sums(graph)
    fold_constants(graph)
    store_known_sizes(graph)
    fold_constants(graph)
    if take_known_branches(graph):
        fold_constants(graph)
    remove_pass_through(graph)
    remove_dead_code(graph)
    drop_empty_pieces(graph)
    merge_activations(graph)
    contract = model_contract(model)
    if contract.input_layout == "NHWC":
        take_channels_first(graph)
    graph.proto.input[0].type.tensor_type.shape.dim[1].dim_value = contract.channels
    graph = cancel_transposes(graph)
    merge_padding(graph)
    fold_affine(graph)
    fold_forward(graph)
    plain_gemms(graph)
    fold_into_products(graph)
    model = _finished(graph)
    graph = _view(model)
    read_through_identity(graph, inferred_types(model))
    return _finished(graph)


def _finished(graph: Graph) -> ModelProto:
    remove_dead_code(graph)
    name_nodes(graph.nodes)
    model = graph.model()
    model.ir_version = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    return model


def _with_any_batch(model: ModelProto, reference: Reference) -> ModelProto | None:
    """Return the model with a symbolic batch if it is proven to take one image and several, else None."""
    for edit_reshapes in (True, False):
        graph = _view(model)
        if edit_reshapes and not _keep_batch_in_reshapes(graph):
            continue
        set_batch(graph.proto, _ANY_BATCH)
        try:
            fix_reshapes(graph)
            declare_output_shape(graph.proto, graph.shapes())
            set_batch(graph.proto, _ANY_BATCH)
            candidate = _finished(graph)
            difference = reference.largest_difference(candidate, 1, len(reference.images))
        except (*RUN_ERRORS, ModelError, onnx.shape_inference.InferenceError):
            continue
        if difference <= TOLERANCE:
            return candidate
    return None


def _with_fixed_batch(model: ModelProto, reference: Reference) -> ModelProto:
    set_batch(model.graph, reference.contract.fixed_batch or 1)
    difference = reference.largest_difference(model, 1)
    if difference > TOLERANCE:
        raise RuntimeError(f"the prepared model's scores differ from the source's by {difference:.2g}")
    return model


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


def _refuse_unknown(graph: Graph, where: str) -> None:
    """Refuse operators of an opset that is newer than the installed onnx knows, where it knows no earlier form."""
    if graph.opset <= known_opset(graph.opset):
        return
    for node in all_nodes(graph.model().graph):
        if is_op(node, node.op_type) and not onnx.defs.has(node.op_type, DEFAULT_DOMAIN):
            raise ModelError(
                "the model has an operator that is newer than the installed onnx knows",
                where=where,
                found=f"{node.op_type} of opset {graph.opset}",
                expected=f"operators up to opset {known_opset(graph.opset)}",
                advice="export the model with a lower opset, such as 17",
            )


def _refuse_invalid(model: ModelProto, where: str) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError("the model is not valid ONNX", where=where, found=str(error).strip()) from error
