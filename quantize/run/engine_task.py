"""What an engine is given for its search in a run: values, and callbacks that evaluate, time and remember."""

from __future__ import annotations

from functools import partial

from quantize.criterion import Criterion
from quantize.engines.engine import CalibrationSet, Callbacks, SearchTask
from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.operators.profile import profile
from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import Measurement, speedups
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus
from quantize.recipe import Recipe
from quantize.rewrites import RatioInterval, select_rewrites
from quantize.run.context import Context
from quantize.run.evaluator import Evaluator, metric_of
from quantize.run.export import finished_model
from quantize.run.ratios import Ratios
from quantize.run.short_pair import short_pair

_SECONDS = 10.0
_RUNS = 60
_PROFILED_RUNS = 30


def search_task(
    context: Context, criterion: Criterion, selection: Evaluator, ratios: Ratios, recorded: LatencyTable | None
) -> SearchTask:
    """Return what an engine is asked and given in a run.

    Args:
        context: The run.
        criterion: What is good enough.
        selection: Evaluates on the images that trials may see.
        ratios: The run's journal, recorded and measured times.
        recorded: Times to decide by in place of measuring; None: measure.
    """
    config = context.config
    return SearchTask(
        model=context.model,
        criterion=criterion,
        calibration=calibration_set(context),
        framework=config.model.framework,
        quantization=config.quantization,
        tuning=config.tuning,
        speed=config.tuning.speed,
        times_count=context.target == this_cpu_class(),
        rewrites=tuple(rewrite.name for rewrite in select_rewrites(config.rewrites)),
        evaluation_fingerprint=context.images.evaluation.fingerprint,
        folder=context.folder.work,
        threads=available_cpus(),
        callbacks=_callbacks(context, criterion, selection, ratios),
        journal=ratios.journal,
        recorded=recorded,
        progress=context.progress,
    )


def calibration_set(context: Context) -> CalibrationSet:
    """Return a run's calibration images."""
    crops = context.images.calibration
    return CalibrationSet(context.batches(crops), len(crops), crops.fingerprint)


def measured_pair(
    context: Context, baseline: ModelArtifact, candidate: ModelArtifact, /, *, seconds: float, runs: int
) -> Measurement:
    """Return a measurement of two models in alternation, under the names ``baseline`` and ``candidate``."""
    return measure(*short_pair(context, baseline, candidate, seconds=seconds, runs=runs))


def profiled_pair(
    context: Context, baseline: ModelArtifact, candidate: ModelArtifact, recipe: Recipe, /, *, runs: int
) -> Profile:
    """Return the profile of two models, under the names ``baseline`` and ``candidate``."""
    plan, inputs = short_pair(context, baseline, candidate, seconds=_SECONDS, runs=_RUNS)
    return profile(plan, inputs, "candidate", runs=runs, recipe=recipe)


def measured_ratio(context: Context, before: ModelArtifact, after: ModelArtifact) -> RatioInterval:
    """Return how much faster a model is than another one, measured in alternation.

    Args:
        context: The run; its images are those that the models take.
        before: The one to compare with.
        after: The one that may be faster.
    """
    (gain,) = speedups(measured_pair(context, before, after, seconds=_SECONDS, runs=_RUNS))
    # Without an interval the ratio itself decides, as in the verdict.
    low, high = (gain.ratio if end is None else end for end in (gain.low, gain.high))
    return RatioInterval(low=low, ratio=gain.ratio, high=high)


def op_times(context: Context, recipe: Recipe, candidate: ModelArtifact) -> ProfiledTimes:
    """Return the time of fp32 and of a candidate op by op, measured."""
    return ProfiledTimes.of(profiled_pair(context, context.model, candidate, recipe, runs=_PROFILED_RUNS))


def _callbacks(context: Context, criterion: Criterion, selection: Evaluator, ratios: Ratios) -> Callbacks:
    def ratio(before: ModelArtifact, after: ModelArtifact) -> RatioInterval:
        return ratios.of(before, after, lambda: measured_ratio(context, before, after))

    def times(recipe: Recipe, candidate: ModelArtifact) -> ProfiledTimes:
        return ratios.profile(recipe, lambda: op_times(context, recipe, candidate))

    return Callbacks(
        evaluate=lambda model: metric_of(selection.evaluate(model), criterion),
        evaluate_some=selection.evaluate_some,
        baseline=lambda: selection.evaluate_baseline(context.model),
        measure=partial(measured_pair, context),
        profile=partial(profiled_pair, context),
        ratio=ratio,
        op_times=times,
        finished=lambda model: finished_model(model, context.target),
        stage=context.stages.stage,
    )
