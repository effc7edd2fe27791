"""Build the two files of a search's choice: its input contract, rewrites and score correction included."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from onnx import ModelProto

from quantize.data.batches import Batches
from quantize.engines.engine import engine_named
from quantize.engines.fates import layers_on_integers
from quantize.engines.trial import Trial
from quantize.evaluation.layer_error import layer_errors
from quantize.formats import to_qlinear
from quantize.formats.float_reasons import FloatReason
from quantize.formats.saturation import saturating_layers
from quantize.graph.nodes import INTEGER_WEIGHTED, is_op
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import Recipe
from quantize.report.data import InputContractSection
from quantize.report.models import LayerCheckSection, LayerErrorSection
from quantize.report.trials import ChosenSection
from quantize.rewrites import Rewritten
from quantize.run.context import Context
from quantize.run.engine_task import calibration_set
from quantize.run.export import Pair, write_pair
from quantize.run.folder import RunFolder
from quantize.run.input_contract import contracted
from quantize.run.layer_check import Checked, check_every_layer
from quantize.run.rewriting import KEPT_REWRITES, rewrite_candidate
from quantize.run.score_correction import CORRECTION, with_corrected_scores
from quantize.run.search import Findings
from quantize.target import must_not_saturate

_CORRECTED = "scores corrected"
_NOTHING: Mapping[str, FloatReason] = MappingProxyType({})


@dataclass(frozen=True)
class Built:
    """The files of one search.

    Attributes:
        context: The run; its model, preprocessing and evaluator are those of the files' input.
        findings: The search.
        rewritten: Both formats, and what each rewrite did.
        chosen: What they were built from.
        pair: The files.
        steps: The models on the way to them, in order.
        contract: Their input, where it is another than the given model's.
        layers: Error of each layer of the candidate.
        layer_check: The files' layers against what their grids predict.
        stay: The fp32 model's nodes that cannot, and why, by name.
    """

    context: Context
    findings: Findings
    rewritten: Rewritten
    chosen: ChosenSection
    pair: Pair
    steps: tuple[Step, ...] = ()
    contract: InputContractSection | None = None
    layers: tuple[LayerErrorSection, ...] = ()
    layer_check: LayerCheckSection | None = None
    stay: Mapping[str, FloatReason] = field(default_factory=dict)

    @property
    def left(self) -> frozenset[str]:
        """Return the fp32 model's nodes that the recipe, or what can be built here, leaves in float."""
        return _left(self.context.model.proto(), self.chosen.recipe, self.stay)


@dataclass(frozen=True)
class Step:
    """A model on the way from a candidate to its files.

    Attributes:
        name: What made it of the one before, in a few words.
        model: The model, without the last touches of a file: most steps share one that the files are made of too.
    """

    name: str
    model: ModelProto


def build(context: Context, findings: Findings, folder: RunFolder | None = None) -> Built:
    """Give a search's choice its input, rewrite it, correct its scores and write both formats.

    Args:
        context: The run.
        findings: The search.
        folder: Where the files go; None: where the run's go.
    """
    assert findings.chosen.artifact is not None
    with context.stages.stage("error by layer"):
        layers = _layers(context, findings.chosen)
    stay = _stay(context, findings.chosen.recipe)
    folded = contracted(context, findings.chosen.artifact, findings.chosen.recipe)
    own = folded.context
    if folded.section is not None:
        selection = own.evaluator(own.images.evaluation, "evaluation-contract")
        selection.evaluate_baseline(own.model)
        own = replace(own, selection=selection, judging=own.judging_of(selection))
    if folder is not None:
        own = replace(own, folder=folder)
    built = write_files(own, folded.candidate, findings, stay)
    return replace(built, contract=folded.section, layers=layers)


def remember_decisions(journal: Journal, recipe: Recipe) -> None:
    """Put what another run decided about its files into the journal, before this run asks for it.

    Args:
        journal: This run's.
        recipe: The other run's, with the rewrites that it kept and its corrections.
    """
    journal.step(KEPT_REWRITES, lambda: list(recipe.rewrites), kind=list[str])
    journal.step(_CORRECTED, lambda: CORRECTION in recipe.corrections, kind=bool)


def write_files(
    context: Context, candidate: ModelArtifact, findings: Findings, stay: Mapping[str, FloatReason] = _NOTHING
) -> Built:
    """Rewrite a candidate, correct its scores, check every layer and write both formats into the run's folder.

    Args:
        context: The run; its model and preprocessing are those of the written files' input.
        candidate: The quantized model, before rewrites.
        findings: The search that chose it.
        stay: The fp32 model's nodes that cannot compute on integers, and why, by name.

    Raises:
        WrongLayerError: A layer is wrong in float too; nothing is written.
    """
    with context.stages.stage("rewrite, and write both formats"):
        bare = to_qlinear(candidate.proto(), opset=context.qlinear_opset)
        plain = rewrite_candidate(context, candidate)
    with context.stages.stage("correct the scores, and check every layer"):
        correct = partial(_corrected, context, findings.chosen.recipe)
        checked = check_every_layer(context, plain, findings.chosen.recipe, correct)
    with context.stages.stage("rewrite, and write both formats"):
        pair = write_pair(
            checked.files,
            context.folder,
            context.ending,
            context.form,
            own_input=context.config.input_contract != "as-is",
        )
        steps = tuple(
            Step(name, model)
            for name, model in (
                ("the candidate in its final input and format", bare),
                ("the rewrites", plain.qlinear),
                ("what is wrong in int8 in float", checked.plain.qlinear),
                ("the correction of the scores", checked.corrected.qlinear),
            )
        )
        chosen = _chosen(context, findings, checked, pair, stay)
        return Built(context, findings, checked.corrected, chosen, pair, steps, layer_check=checked.section, stay=stay)


def _stay(context: Context, recipe: Recipe) -> Mapping[str, FloatReason]:
    """Return the nodes that cannot be quantized here, and why, by name."""
    engine = engine_named(recipe.engine)
    return engine.stays_in_float(context.model, recipe, calibration_set(context), context.folder.work)


def _layers(context: Context, trial: Trial) -> tuple[LayerErrorSection, ...]:
    """Return the error of every layer of a trial's model on a few evaluation images."""
    assert trial.artifact is not None
    images, size = context.images, context.model.contract.fixed_batch or 1
    whole = Batches.few(images.evaluation, images.preprocessing, size, most=context.effort.layer_images)
    reference = engine_named(trial.recipe.engine).reference(context.model.proto(), trial.recipe)
    errors = layer_errors(reference, trial.artifact.proto(), whole)
    return tuple(LayerErrorSection.model_validate(error, from_attributes=True) for error in errors)


def _corrected(context: Context, recipe: Recipe, plain: Rewritten, freed: int) -> tuple[Rewritten, tuple[str, ...]]:
    """Correct the scores of a model if it pays off, unless its engine has done so in its search.

    Args:
        context: The run.
        recipe: What the model was built from.
        plain: The model in both formats.
        freed: How many layers went to float since the engine corrected its scores, which are off by that.

    Returns:
        Both formats, and the corrections of their recipe.
    """
    decided: bool | None = context.ratios.journal.value(_CORRECTED, kind=bool)
    before = tuple(name for name in recipe.corrections if name != CORRECTION)
    own = engine_named(recipe.engine).corrects_own_scores
    if decided is False or (own and not (freed and CORRECTION in recipe.corrections)):
        return plain, recipe.corrections

    def good_enough(model: ModelProto) -> bool:
        if context.criterion.metric == "none":
            return True
        saved = save_model(model, context.folder.work / "corrected.onnx")
        return context.criterion.met(context.judging.metric(saved, context.criterion))

    corrected = with_corrected_scores(
        plain,
        context.model,
        context.calibration_batches(),
        # Where the criterion is missed anyway, no correction can be blamed for it.
        good_enough=good_enough if decided is None and not own and good_enough(plain.qlinear) else None,
    )
    if own:
        return corrected or plain, recipe.corrections
    return (plain, before) if corrected is None else (corrected, (*before, CORRECTION))


def _left(model: ModelProto, recipe: Recipe, stay: Collection[str]) -> frozenset[str]:
    by_type = {node.name for node in model.graph.node if node.op_type in recipe.float_op_types}
    return frozenset({*recipe.float_nodes, *by_type, *stay})


def _chosen(context: Context, findings: Findings, checked: Checked, pair: Pair, stay: Collection[str]) -> ChosenSection:
    kept = tuple(record.name for record in checked.corrected.records if record.kept)
    recipe = findings.chosen.recipe.but(rewrites=kept, corrections=checked.corrections)
    model = context.model.proto()
    on_integers = layers_on_integers(model, checked.corrected.qlinear, _left(model, recipe, stay))
    weighted = [node.name for node in model.graph.node if is_op(node, *INTEGER_WEIGHTED)]
    int8 = sum(on_integers[name] for name in weighted)
    return ChosenSection(
        trial=findings.chosen.index,
        recipe_id=recipe.id,
        recipe=recipe,
        all_fp32=int8 == 0,
        target=context.target,
        saturating_layers=_saturating(context, pair),
        layers=len(weighted),
        int8_layers=int8,
    )


def _saturating(context: Context, pair: Pair) -> int:
    """Return how many layers can saturate without VNNI: none where the target says so, whatever made the weights."""
    layers = {file.path.name: saturating_layers(file.proto()) for file in (pair.int8, pair.qdq)}
    if must_not_saturate(context.target) and any(layers.values()):
        raise RuntimeError(f"layers can saturate without VNNI in spite of the target: {layers}")
    return len(layers[pair.int8.path.name])
