"""What an engine is given for its search in a run: values, and callbacks that evaluate, time and remember."""

from __future__ import annotations

from functools import partial

from quantize.engines.engine import CalibrationSet, Callbacks, SearchTask
from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus
from quantize.recipe import Recipe
from quantize.rewrites import RatioInterval, select_rewrites
from quantize.run.context import Context, Prepared
from quantize.run.evaluator import metric_of
from quantize.run.export import finished_model
from quantize.run.measuring import measured_pair, measured_ratio, profiled_pair

_PROFILED_RUNS = 30


def search_task(context: Context, recorded: LatencyTable | None) -> SearchTask:
    """Return what an engine is asked and given in a run.

    Args:
        context: The run.
        recorded: Times to decide by in place of measuring; None: measure.
    """
    config = context.config
    return SearchTask(
        model=context.model,
        criterion=context.criterion,
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
        callbacks=_callbacks(context),
        journal=context.ratios.journal,
        recorded=recorded,
        progress=context.progress,
    )


def calibration_set(context: Prepared) -> CalibrationSet:
    """Return a run's calibration images."""
    crops = context.images.calibration
    return CalibrationSet(context.batches(crops), len(crops), crops.fingerprint)


def _callbacks(context: Context) -> Callbacks:
    def times(recipe: Recipe, candidate: ModelArtifact) -> ProfiledTimes:
        return context.ratios.profile(recipe, lambda: op_times(context, recipe, candidate))

    return Callbacks(
        evaluate=lambda model: metric_of(context.selection.evaluate(model), context.criterion),
        evaluate_some=context.selection.evaluate_some,
        baseline=lambda: context.selection.evaluate_baseline(context.model),
        measure=partial(measured_pair, context),
        profile=partial(profiled_pair, context),
        ratio=partial(ratio_of, context),
        op_times=times,
        finished=lambda model: finished_model(model, context.target),
        stage=context.stages.stage,
    )


def ratio_of(context: Context, before: ModelArtifact, after: ModelArtifact) -> RatioInterval:
    """Return how much faster a model is than another one: recorded, journaled or measured once."""
    return context.ratios.of(before, after, partial(measured_ratio, context, before, after))


def op_times(context: Context, recipe: Recipe, candidate: ModelArtifact) -> ProfiledTimes:
    """Return the time of fp32 and of a candidate op by op, measured."""
    return ProfiledTimes.of(profiled_pair(context, context.model, candidate, recipe, runs=_PROFILED_RUNS))
