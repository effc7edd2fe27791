"""From the chosen candidate to two written, judged and measured files, and the report."""

from __future__ import annotations

from onnx import ModelProto

from quantize.api.anatomy import measure_anatomy
from quantize.api.candidates import Jury
from quantize.api.context import Context
from quantize.api.engines import weighted_int8
from quantize.api.evaluator import Evaluator, metric_of
from quantize.api.export import Pair, compare_formats, guarded, write_pair
from quantize.api.flipped import flips_section
from quantize.api.latency import latency_plan, measure_models
from quantize.api.ratios import Ratios
from quantize.api.rebuilding import replay_section
from quantize.api.rewriting import Workshop, rewrite_section
from quantize.api.score_correction import CORRECTION, with_corrected_scores
from quantize.api.search import Found
from quantize.api.sections import (
    criterion_section,
    data_section,
    preprocessing_section,
    provenance,
    source_section,
)
from quantize.api.verdict import verdict_section
from quantize.benchmark.measurement import Measurement
from quantize.data.workers import available_cpus
from quantize.engines.protocols import Goal
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact, save_model
from quantize.report.replay import ReplaySection
from quantize.report.schema import RunReport
from quantize.report.trials import ChosenSection
from quantize.rewrites import Rewritten, select_rewrites

_BENCHMARK_SECONDS = 120.0


def finish(
    context: Context, candidate: ModelArtifact, found: Found, goal: Goal, selection: Evaluator, ratios: Ratios
) -> RunReport:
    """Rewrite the candidate, write both formats, judge and measure them, and return what was found.

    Args:
        context: The run; its model and preprocessing are those of the written files' input.
        candidate: The quantized model, before rewrites.
        found: The search that chose it.
        goal: What was asked.
        selection: Evaluates on the images that trials saw.
        ratios: Speed ratios of rewrites.
    """
    stages, images = context.stages, context.images
    with stages.stage("rewrite, and write both formats"):
        rewritten, corrections = _corrected(
            context, found, goal, selection, _rewrite(context, candidate, goal, selection, ratios)
        )
        pair = write_pair(guarded(rewritten), context.folder)
        chosen = _chosen(context, found, rewritten, corrections, pair)
    with stages.stage("evaluate the written files"):
        formats = compare_formats(pair, context.batches(images.evaluation), threads=available_cpus())
        baseline, models = _jury(context, goal, selection).judge((("int8", pair.int8), ("qdq", pair.qdq)))
    with stages.stage("benchmark"):
        measurement = _measure(context, pair)
    with stages.stage("memory and operators"):
        resources, operators = measure_anatomy(
            {"fp32": context.model, "int8": pair.int8, "qdq": pair.qdq},
            images.evaluation,
            images.preprocessing,
            measurement.plan,
            profiled="int8",
            recipe=chosen.recipe,
            progress=context.progress,
        )
    config, asked = context.config, context.asked
    return RunReport(
        verdict=verdict_section(
            goal,
            models,
            formats,
            chosen,
            stopped_because=found.stopped_because,
            demonstration=asked.demonstration_data,
        ),
        criterion=criterion_section(goal, config.tuning.accuracy_criterion.confidence),
        engine=config.tuning.engine,
        source=source_section(asked.model, context.source, context.entry),
        data=data_section(images, asked),
        preprocessing=preprocessing_section(images),
        baseline=baseline,
        models=models,
        formats=formats,
        chosen=chosen,
        rewrites=tuple(rewrite_section(record) for record in rewritten.records),
        trials=found.sections,
        measurement=measurement,
        resources=resources,
        profile=operators,
        flips=flips_section(
            selection.evaluate_baseline(context.model),
            selection.evaluate(pair.int8),
            role="int8",
            crops=images.evaluation,
            file=context.folder.path / "flips.csv",
        ),
        replay=_replay(context, pair),
        stages=stages.sections(),
        provenance=provenance(asked.request, images),
        config=config.model_dump(mode="json"),
        notes=config.notes,
    )


def _rewrite(context: Context, candidate: ModelArtifact, goal: Goal, selection: Evaluator, ratios: Ratios) -> Rewritten:
    workshop = Workshop(
        crops=context.images.evaluation,
        preprocessing=context.images.preprocessing,
        evaluator=selection,
        goal=goal,
        threads=context.config.evaluation.performance.configs.cores_per_instance,
        seed=context.config.tuning.random_seed,
        progress=context.progress,
        ratios=ratios,
    )
    recorded = context.recorded
    names = context.config.rewrites if recorded is None else recorded.chosen.recipe.rewrites
    return workshop.apply(candidate, select_rewrites(names), opset=context.qlinear_opset, timed=recorded is None)


def _jury(context: Context, goal: Goal, selection: Evaluator) -> Jury:
    kept = context.images.certification
    return Jury(
        baseline=context.model,
        selection=selection,
        certification=context.evaluator(kept, "certification") if kept is not None else None,
        goal=goal,
        confidence=context.config.tuning.accuracy_criterion.confidence,
        seed=context.config.tuning.random_seed,
        folder=context.folder,
    )


def _measure(context: Context, pair: Pair) -> Measurement:
    models = {"fp32": context.model, "int8": pair.int8, "qdq": pair.qdq}
    plan = latency_plan(
        models,
        context.config.evaluation.performance,
        seed=context.config.tuning.random_seed,
        max_seconds=_BENCHMARK_SECONDS,
    )
    images = context.images
    return measure_models(models, images.evaluation, images.preprocessing, plan, progress=context.progress)


def _replay(context: Context, pair: Pair) -> ReplaySection | None:
    if context.recorded is None or context.asked.request.replay is None:
        return None
    hashes = {"int8": pair.int8.graph_sha256, "qdq": pair.qdq.graph_sha256}
    if context.folder.fp32 is not None:
        hashes["fp32"] = context.model.graph_sha256
    return replay_section(context.asked.request.replay, context.recorded, hashes)


def _corrected(
    context: Context, found: Found, goal: Goal, selection: Evaluator, rewritten: Rewritten
) -> tuple[Rewritten, tuple[str, ...]]:
    """Correct the scores of Neural Compressor's model where it pays; the native engine has done so in its search.

    Returns:
        Both formats, and the corrections of their recipe.
    """
    recipe, recorded = found.chosen.recipe, context.recorded
    before = tuple(name for name in recipe.corrections if name != CORRECTION)
    if recipe.engine != "inc" or (recorded is not None and CORRECTION not in recorded.chosen.recipe.corrections):
        return rewritten, recipe.corrections

    def good_enough(model: ModelProto) -> bool:
        path = context.folder.work / "corrected.onnx"
        return goal.metric == "none" or goal.met(metric_of(selection.evaluate(save_model(model, path)), goal))

    corrected = with_corrected_scores(
        rewritten,
        context.model,
        context.batches(context.images.calibration),
        good_enough=good_enough if recorded is None else None,
    )
    return (rewritten, before) if corrected is None else (corrected, (*before, CORRECTION))


def _chosen(
    context: Context, found: Found, rewritten: Rewritten, corrections: tuple[str, ...], pair: Pair
) -> ChosenSection:
    kept = tuple(record.name for record in rewritten.records if record.kept)
    recipe = found.chosen.recipe.but(rewrites=kept, corrections=corrections)
    int8, _ = weighted_int8(recipe, context.model.proto())
    return ChosenSection(
        trial=found.chosen.index,
        recipe_id=recipe.id,
        recipe=recipe,
        all_fp32=int8 == 0,
        target=context.config.quantization.target,
        saturating_layers=_saturating(context, pair),
    )


def _saturating(context: Context, pair: Pair) -> int:
    """Return how many layers can saturate without VNNI: none where the target says so, whatever made the weights."""
    layers = {file.path.name: saturating_layers(file.proto()) for file in (pair.int8, pair.qdq)}
    if context.config.quantization.target != "vnni" and any(layers.values()):
        raise RuntimeError(f"layers can saturate without VNNI in spite of the target: {layers}")
    return len(layers[pair.int8.path.name])
