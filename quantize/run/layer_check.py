"""Hold every quantized layer of the files to what its grids predict, and put back to float what is wrong.

No criterion switches this off: top-1 says nothing where one class always wins, and nothing at all where scores mean
nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from onnx import ModelProto

from quantize.data.batches import Batch, Batches
from quantize.engines.engine import engine_named
from quantize.engines.placement.placed_model import with_float_layers
from quantize.evaluation.layer_check import LayerFinding, check_layers
from quantize.evaluation.layer_check.prediction import ALLOWED
from quantize.formats import to_qdq, to_qlinear
from quantize.graph.nodes import default_opset
from quantize.graph.shell import without_constants
from quantize.graph.view import Graph
from quantize.models.input_form import in_form
from quantize.recipe import Recipe
from quantize.report.layer_words import wrong_layer
from quantize.report.models import LayerCheckSection, LayerFindingSection, Role
from quantize.rewrites import Rewritten
from quantize.rewrites.input_contract import padded_as_quantized, pads_otherwise
from quantize.run.context import Context
from quantize.run.export import finished
from quantize.run.score_correction import CORRECTION
from quantize.run.unforeseen import Unforeseen

_LOG = logging.getLogger("quantize")
_ROLES: dict[str, Role] = {"int8": "int8", "qdq": "qdq"}

Correct = Callable[[Rewritten, int], tuple[Rewritten, tuple[str, ...]]]


class WrongLayerError(RuntimeError):
    """A layer of a model that was to be written does something that neither its grids nor fp32 explain: a bug."""


@dataclass(frozen=True)
class Checked:
    """A model whose layers all do what they should.

    Attributes:
        plain: Both formats before their scores were corrected; what was wrong in int8 computes in float.
        corrected: The same with its scores corrected, where that pays off.
        corrections: What it has of corrections.
        files: The same with the last touches of its files: what was checked, and is to be written.
        section: What the report says.
    """

    plain: Rewritten
    corrected: Rewritten
    corrections: tuple[str, ...]
    files: Rewritten
    section: LayerCheckSection


def check_every_layer(context: Context, plain: Rewritten, recipe: Recipe, correct: Correct) -> Checked:
    """Correct the scores of a model and hold its layers to their grids, until nothing is wrong.

    Scores are corrected anew where a layer goes to float: they were corrected for what it did.

    Args:
        context: The run; its model and preprocessing are those of the model's input.
        plain: The model in both formats, rewritten.
        recipe: What it was built from.
        correct: Returns a model with its scores corrected, and the corrections that it has then; it is told how many
            layers of the model compute in float though the engine did not make them so.

    Raises:
        WrongLayerError: A layer is wrong in float too.
    """

    def reference() -> ModelProto:
        return as_engine(context.model.proto(), recipe)

    def padded() -> ModelProto:
        return as_engine(padded_as_quantized(context.model.proto(), contract), recipe)

    as_engine, contract = engine_named(recipe.engine).reference, context.config.input_contract
    model = context.model.proto()
    is_padded, unforeseen = pads_otherwise(model), Unforeseen(Graph.of(without_constants(as_engine(model, recipe))))
    del model  # it may be as large as all that is held here besides
    images = _images(context)
    to_float: list[LayerFindingSection] = []
    while True:
        rewritten, corrections = correct(plain, len(to_float))
        files = finished(rewritten, context.target)
        written = {"int8": files.qlinear, "qdq": files.qdq}
        found = check_layers(
            reference, written, images, corrected=CORRECTION in corrections, padded=padded if is_padded else None
        )
        held = {role: unforeseen.left(findings) for role, findings in found.items()}
        sections = [_section(role, finding) for role, findings in held.items() for finding in findings]
        wrong = [section for section in sections if not section.ratio <= ALLOWED]
        if not wrong:
            break
        _refuse_twice(wrong, to_float, unforeseen)
        new = [section for section in wrong if not unforeseen.growing(section.layer)]
        for section in {section.layer: section for section in new}.values():
            _LOG.warning("%s: it computes in float.", wrong_layer(section))
        to_float += new
        nodes = unforeseen.nodes([f for findings in held.values() for f in findings if f.wrong])
        plain = _in_float(plain, reference(), nodes)
    worst = max(sections, key=lambda section: section.ratio, default=None)
    checked = tuple(dict.fromkeys(section.layer for section in sections))
    count = sum(len(batch.images) for batch in images)
    told = LayerCheckSection(images=count, checked=checked, allowed=ALLOWED, worst=worst, to_float=tuple(to_float))
    return Checked(plain, rewritten, corrections, files, told)


def _images(context: Context) -> list[Batch]:
    """Return a few calibration images as the model takes them; a fixed batch is filled with what there is."""
    images, size = context.images, context.model.contract.fixed_batch or 1
    few = Batches.few(images.calibration, images.preprocessing, size, most=context.effort.proven_images)
    return [replace(batch, images=in_form(context.model.contract, batch.images)) for batch in few]


def _section(role: str, finding: LayerFinding) -> LayerFindingSection:
    return LayerFindingSection(
        layer=finding.layer,
        op_type=finding.op_type,
        file=_ROLES[role],
        error=finding.error,
        predicted=finding.predicted,
        ratio=finding.ratio,
    )


def _refuse_twice(
    wrong: Sequence[LayerFindingSection], to_float: Sequence[LayerFindingSection], unforeseen: Unforeseen
) -> None:
    for section in wrong:
        before = next((one for one in to_float if (one.layer, one.file) == (section.layer, section.file)), None)
        if before is not None and not unforeseen.growing(section.layer):
            raise WrongLayerError(
                f"{wrong_layer(before)}, and {section.error:.3g} in float, {section.predicted:.3g} predicted; "
                f"{ALLOWED:g} times are allowed. No file is written."
            )


def _in_float(rewritten: Rewritten, reference: ModelProto, nodes: Sequence[str]) -> Rewritten:
    model = with_float_layers(rewritten.qdq, reference, nodes)
    qlinear, qdq = (default_opset(form) for form in (rewritten.qlinear, rewritten.qdq))
    return replace(rewritten, qlinear=to_qlinear(model, opset=qlinear), qdq=to_qdq(model, opset=qdq))
