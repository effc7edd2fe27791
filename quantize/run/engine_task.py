"""The task that an engine's search is given (values and callbacks), and the report of its result."""

from __future__ import annotations

from functools import partial

from onnx import ModelProto

from quantize.engines.engine import Engine
from quantize.engines.image_budget import ImageBudget
from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.engines.native.search.race import race_judge
from quantize.engines.placement.placement import Option
from quantize.engines.task import CalibrationSet, Callbacks, SearchTask
from quantize.engines.trial import CandidateRecord, PlacedTrial, SearchOutcome
from quantize.evaluation.evaluation import Evaluation
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus
from quantize.recipe import Recipe
from quantize.report.provenance import StageSection
from quantize.report.search import (
    CandidateSection,
    ComparedSection,
    PlacementOptionSection,
    PlacementSection,
    RatioSection,
    SearchSection,
)
from quantize.rewrites import RatioInterval, select_rewrites
from quantize.run.context import UNBOUNDED, Context, Prepared
from quantize.run.export import finished_model
from quantize.run.measuring import measured_pair, measured_ratio, profiled_pair

_PROFILED_RUNS = 30


def search_task(context: Context, recorded: LatencyTable | None) -> SearchTask:
    """Return what an engine is asked and given in a run.

    Args:
        context: The run.
        recorded: Times to decide by instead of measuring; None: measure.
    """
    config = context.config
    budget = ImageBudget(context.ratios.journal) if context.is_sampled else None
    return SearchTask(
        model=context.model,
        criterion=context.criterion,
        calibration=calibration_set(context),
        framework=config.model.framework,
        quantization=config.quantization,
        tuning=config.tuning,
        speed=config.tuning.speed,
        times_count=context.target == this_cpu_class(),
        rewrites=tuple(rewrite.name for rewrite in select_rewrites(config.rewrites) if not rewrite.only_measured),
        evaluation_fingerprint=context.images.evaluation.fingerprint,
        folder=context.folder.work,
        threads=available_cpus(),
        callbacks=_callbacks(context, budget),
        journal=context.ratios.journal,
        recorded=recorded,
        budget=budget,
        progress=context.progress,
    )


def calibration_set(context: Prepared) -> CalibrationSet:
    """Return a run's calibration images."""
    crops = context.images.calibration
    return CalibrationSet(context.calibration_batches(), len(crops), crops.fingerprint)


def _callbacks(context: Context, budget: ImageBudget | None) -> Callbacks:
    criterion, judging = context.criterion, context.judging

    def baseline() -> Evaluation:
        return context.selection.evaluate_baseline(context.model)

    def metric(model: ModelArtifact) -> float:
        if budget is None or criterion.metric == "map":
            return judging.metric(model, criterion)
        seed = context.config.tuning.random_seed
        judged = race_judge(criterion, baseline(), judging.evaluate_some, seed=seed, budget=budget)(model)
        assert judged.metric is not None
        return judged.metric

    def times(recipe: Recipe, candidate: ModelArtifact) -> ProfiledTimes:
        return context.ratios.profile(recipe, lambda: op_times(context, recipe, candidate))

    return Callbacks(
        evaluate=metric,
        evaluate_some=judging.evaluate_some,
        baseline=baseline,
        measure=partial(measured_pair, context),
        profile=partial(profiled_pair, context),
        ratio=partial(ratio_of, context),
        op_times=times,
        finished=lambda model: finished_model(model, context.target),
        stage=context.stages.stage,
    )


def ratio_of(
    context: Context, before: ModelArtifact, after: ModelArtifact, *, beside: float | None = None
) -> RatioInterval:
    """Return how much faster a model is than another one: recorded, journaled or measured once.

    Args:
        context: The run.
        before: The one to compare with.
        after: The one that may be faster.
        beside: A ratio that suffices to be told apart from.
    """
    return context.ratios.of(before, after, partial(measured_ratio, context, before, after, beside=beside))


def op_times(context: Context, recipe: Recipe, candidate: ModelArtifact) -> ProfiledTimes:
    """Return the time of fp32 and of a candidate op by op, measured."""
    return ProfiledTimes.of(profiled_pair(context, context.model, candidate, recipe, runs=_PROFILED_RUNS))


def search_section(outcome: SearchOutcome, images: int) -> SearchSection | None:
    """Return the report's section on a search that used so many evaluation images; None if it measured no times."""
    record = outcome.record
    if record is None:
        return None
    return SearchSection(
        stopped_because=outcome.stopped_because,
        images=images,
        candidates=tuple(_candidate(candidate) for candidate in record.candidates),
        compared=tuple(ComparedSection(recipe=name, mean_kl=kl) for name, kl in record.compared),
        stages=tuple(StageSection(name=name, seconds=seconds) for name, seconds in record.seconds.items()),
    )


def placement_section(placed: PlacedTrial, engine: Engine, fp32: ModelProto) -> PlacementSection:
    """Return what the report says of where a trial's layers compute.

    Args:
        placed: The trial and what was looked at.
        engine: Knows the int8 layers of its recipes.
        fp32: The prepared fp32 model.
    """
    options = (_option(option, engine, fp32, taken=option is placed.taken) for option in placed.options)
    return PlacementSection(mode=placed.mode, reason=placed.reason, options=tuple(options))


def _candidate(candidate: CandidateRecord) -> CandidateSection:
    return CandidateSection.model_validate(candidate, from_attributes=True)


def _option(option: Option, engine: Engine, fp32: ModelProto, *, taken: bool) -> PlacementOptionSection:
    int8, layers = engine.int8_layers(option.recipe, fp32)
    return PlacementOptionSection(
        kind=option.kind,
        recipe_id=option.recipe.id,
        taken=taken,
        int8_layers=int8,
        layers=layers,
        stored_layers=len(option.recipe.stored_nodes),
        predicted_ns=option.predicted_ns,
        speedup=_ratio(option.speedup),
        gain=_ratio(option.gain),
        metric=option.metric,
        met=option.met,
        bytes=option.bytes,
    )


def _ratio(interval: RatioInterval | None) -> RatioSection | None:
    if interval is None:
        return None
    high = interval.high if interval.high < UNBOUNDED else None
    return RatioSection(ratio=interval.ratio, low=interval.low, high=high)
