"""From an engine's choice to its two files: rewritten, corrected and written."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import ModelProto

from quantize.criterion import Criterion
from quantize.engines.engine import engine_named
from quantize.formats import to_qlinear
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact, save_model
from quantize.report.trials import ChosenSection
from quantize.rewrites import Rewritten, select_rewrites
from quantize.run.context import Context
from quantize.run.evaluator import Evaluator, metric_of
from quantize.run.export import Pair, finished, finished_model, write_pair
from quantize.run.ratios import Ratios
from quantize.run.rewriting import Workshop
from quantize.run.score_correction import CORRECTION, with_corrected_scores
from quantize.run.search import Found
from quantize.target import must_not_saturate


@dataclass(frozen=True)
class Built:
    """One engine's choice, written.

    Attributes:
        found: Its search.
        rewritten: Both formats, and what each rewrite did.
        chosen: What they were built from.
        pair: The files.
        steps: The models on the way to them, in order.
    """

    found: Found
    rewritten: Rewritten
    chosen: ChosenSection
    pair: Pair
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Step:
    """A model on the way from a candidate to its files.

    Attributes:
        name: What made it of the one before, in a few words.
        model: The model.
    """

    name: str
    model: ModelProto


def build(
    context: Context,
    candidate: ModelArtifact,
    found: Found,
    criterion: Criterion,
    selection: Evaluator,
    ratios: Ratios | None,
) -> Built:
    """Rewrite the candidate, correct its scores and write both formats into the run's folder.

    Args:
        context: The run; its model and preprocessing are those of the written files' input.
        candidate: The quantized model, before rewrites.
        found: The search that chose it.
        criterion: What was asked.
        selection: Evaluates on the images that trials saw.
        ratios: Speed ratios of rewrites; None: nothing is timed, as a recorded decision is repeated.
    """
    with context.stages.stage("rewrite, and write both formats"):
        bare = to_qlinear(candidate.proto(), opset=context.qlinear_opset)
        plain = _rewrite(context, candidate, criterion, selection, ratios)
        rewritten, corrections = _corrected(context, found, criterion, selection, plain)
        pair = write_pair(finished(rewritten, context.target), context.folder)
        steps = tuple(
            Step(name, finished_model(model, context.target))
            for name, model in (
                ("the candidate in its final input and format", bare),
                ("the rewrites", plain.qlinear),
                ("the correction of the scores", rewritten.qlinear),
            )
        )
        return Built(found, rewritten, _chosen(context, found, rewritten, corrections, pair), pair, steps)


def workshop(context: Context, criterion: Criterion, selection: Evaluator, ratios: Ratios | None) -> Workshop:
    """Return what rewrites and times quantized models on the run's images."""
    return Workshop(
        crops=context.images.evaluation,
        preprocessing=context.images.preprocessing,
        evaluator=selection,
        criterion=criterion,
        threads=context.config.evaluation.performance.configs.cores_per_instance,
        seed=context.config.tuning.random_seed,
        progress=context.progress,
        ratios=ratios,
    )


def _rewrite(
    context: Context, candidate: ModelArtifact, criterion: Criterion, selection: Evaluator, ratios: Ratios | None
) -> Rewritten:
    recorded, shop = context.recorded, workshop(context, criterion, selection, ratios)
    names = context.config.rewrites if recorded is None else recorded.chosen.recipe.rewrites
    return shop.apply(candidate, select_rewrites(names), opset=context.qlinear_opset, timed=recorded is None)


def _corrected(
    context: Context, found: Found, criterion: Criterion, selection: Evaluator, rewritten: Rewritten
) -> tuple[Rewritten, tuple[str, ...]]:
    """Correct the scores of a model where it pays, unless its engine has done so in its search.

    Returns:
        Both formats, and the corrections of their recipe.
    """
    recipe, recorded = found.chosen.recipe, context.recorded
    before = tuple(name for name in recipe.corrections if name != CORRECTION)
    own = engine_named(recipe.engine).corrects_own_scores
    if own or (recorded is not None and CORRECTION not in recorded.chosen.recipe.corrections):
        return rewritten, recipe.corrections

    def good_enough(model: ModelProto) -> bool:
        path = context.folder.work / "corrected.onnx"
        return criterion.metric == "none" or criterion.met(
            metric_of(selection.evaluate(save_model(model, path)), criterion)
        )

    corrected = with_corrected_scores(
        rewritten,
        context.model,
        context.batches(context.images.calibration),
        # Where the criterion is missed anyway, no correction can be blamed for it.
        good_enough=good_enough if recorded is None and good_enough(rewritten.qlinear) else None,
    )
    return (rewritten, before) if corrected is None else (corrected, (*before, CORRECTION))


def _chosen(
    context: Context, found: Found, rewritten: Rewritten, corrections: tuple[str, ...], pair: Pair
) -> ChosenSection:
    kept = tuple(record.name for record in rewritten.records if record.kept)
    recipe = found.chosen.recipe.but(rewrites=kept, corrections=corrections)
    int8, layers = engine_named(recipe.engine).int8_layers(recipe, context.model.proto())
    return ChosenSection(
        trial=found.chosen.index,
        recipe_id=recipe.id,
        recipe=recipe,
        all_fp32=int8 == 0,
        target=context.target,
        saturating_layers=_saturating(context, pair),
        layers=layers,
        int8_layers=int8,
    )


def _saturating(context: Context, pair: Pair) -> int:
    """Return how many layers can saturate without VNNI: none where the target says so, whatever made the weights."""
    layers = {file.path.name: saturating_layers(file.proto()) for file in (pair.int8, pair.qdq)}
    if must_not_saturate(context.target) and any(layers.values()):
        raise RuntimeError(f"layers can saturate without VNNI in spite of the target: {layers}")
    return len(layers[pair.int8.path.name])
