"""Turn any fp32 classifier into a clean model, so that no other room needs special cases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx.checker
import onnx.defs
import onnx.shape_inference
from onnx import ModelProto

from quantize.errors import ModelError
from quantize.graph.cleaning import (
    free_initializers,
    remove_dead_code,
    rename_namesakes,
)
from quantize.graph.fixed_shapes import declare_output_shape
from quantize.graph.inlining import without_functions
from quantize.graph.nodes import default_opset
from quantize.graph.opsets.raising import raise_opset
from quantize.graph.shapes import inferred_shapes, with_told_types
from quantize.graph.sparse_weights import store_densely
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.batch_size import TOLERANCE, mixes_images, with_any_batch, with_fixed_batch
from quantize.models.contract import SCORE_TASK, model_contract
from quantize.models.ending import Ending, cut, exposed
from quantize.models.equivalence import Reference
from quantize.models.float32 import in_float32, other_floats
from quantize.models.given_form import GivenForm
from quantize.models.reading import read_model
from quantize.models.refusals import refuse_unsuitable
from quantize.models.score_tensor import say
from quantize.models.simplification import simplified, view
from quantize.models.versions import with_read_versions

LOWEST_PREPARED_OPSET = 12
"""QLinear models are of this opset or the input's, whichever is newer (QDQ: 13, which ``raise_opset`` gives)."""

OLDEST_RUN_OPSET = 7
"""onnxruntime promises to run models from this opset on."""


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


@dataclass(frozen=True)
class CleanForm:
    """The clean form of a classifier, not yet written; see ``PreparedModel``.

    Attributes:
        core: The model.
        ending: What its file gives beyond that; None: nothing.
        form: The layout and the types that its file takes and gives.
        whole: The model with its ending and in its form; None where it has neither.
        floats: The floating-point types other than float32 that the file is in.
        notes: What was changed that its user should know.
    """

    core: ModelProto
    ending: Ending | None
    form: GivenForm
    whole: ModelProto | None
    floats: tuple[str, ...]
    notes: tuple[str, ...]


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
    clean = clean_form(source, opset=opset, score_output=score_output, model=model, of_labels=of_labels)
    # Quantizers that read the file ask nobody for types that onnx does not infer.
    written = save_model(with_told_types(clean.core), destination)
    whole = written if clean.whole is None else save_model(clean.whole, _whole_path(destination))
    return PreparedModel(written, clean.ending, clean.form, whole, clean.floats, clean.notes)


def clean_form(
    source: Path,
    *,
    opset: int | None = None,
    score_output: str | None = None,
    model: ModelProto | None = None,
    of_labels: bool = False,
) -> CleanForm:
    """Return what ``prepare_whole`` writes, from the same arguments; nothing is written.

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
    model = in_float32(given)
    outputs = tuple(value.name for value in model.graph.output)
    contract = model_contract(model, where=where, score_output=score_output)
    form = GivenForm.of(given, contract)
    del given
    if outputs != (contract.output.name,):
        model = exposed(model, contract)
    if of_labels and contract.task == "one class":
        say(model, SCORE_TASK, "labels")
    declare_output_shape(model.graph, inferred_shapes(model))
    if default_opset(model) < OLDEST_RUN_OPSET:
        model = raise_opset(model, OLDEST_RUN_OPSET, where=where)
    reference = Reference.of(model, where)
    prepared, unfolded = _proven(model, reference, max(LOWEST_PREPARED_OPSET, opset or 0), where)
    del model  # onnx copies what it checks
    _refuse_invalid(prepared, where)
    core, ending = cut(prepared, outputs)
    plain = ending is None and form.is_plain
    whole = None if plain else form.applied(core if ending is None else ending.attached(core))
    return CleanForm(core, ending, form, whole, floats, notes + unfolded)


def _proven(model: ModelProto, reference: Reference, opset: int, where: str) -> tuple[ModelProto, tuple[str, ...]]:
    """Return the simplified model that gives the source's scores, and what its user should know of it.

    Raises:
        RuntimeError: No form of it does (a bug).
    """
    differences = []
    for fold in (True, False):
        plain = partial(simplified, model, opset, where, fold=fold)
        prepared, difference = with_any_batch(plain, reference), 0.0
        notes: tuple[str, ...] = ()
        if prepared is None:
            prepared, difference = with_fixed_batch(plain(), reference)
            if reference.contract.fixed_batch is None:
                notes = (_MIXED if mixes_images(model, reference) else _UNSHOWN,)
        differences.append(difference)
        if difference <= TOLERANCE:
            return prepared, notes if fold else (*notes, _unfolded(differences[0]))
    raise RuntimeError(f"the prepared model's scores differ from the source's by {min(differences):.2g}")


_MIXED = (
    "The files take one image at a time: the model says that it takes any number of them, but gives an image other "
    "scores among several, or none."
)
_UNSHOWN = "The files take one image at a time: no form of the model was found that gives several the same scores."


def _unfolded(difference: float) -> str:
    return (
        "Sums and products by channel stay nodes of their own: as part of the layers beside them, float32 rounds them "
        f"elsewhere, and scores differ by {difference:.2g} of the largest."
    )


def _whole_path(destination: Path) -> Path:
    """Return where a prepared model lies with its ending and in its form."""
    return destination.with_stem(f"{destination.stem}-whole")


def _readable(model: ModelProto) -> ModelProto:
    """Return the model with its weights as initializers only, without functions and dead nodes; any opset."""
    model = without_functions(model)
    store_densely(model.graph)
    graph = view(model)
    free_initializers(graph)
    remove_dead_code(graph)
    return graph.model()


def _refuse_invalid(model: ModelProto, where: str) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError("the model is not valid ONNX", where=where, found=str(error).strip()) from error
