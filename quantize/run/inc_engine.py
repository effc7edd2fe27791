"""Which engine searches, with which settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from onnx import ModelProto

from quantize.config.run_config import RunConfig
from quantize.criterion import Criterion
from quantize.engines.inc.float_placement import placed_nodes
from quantize.engines.inc.int8_share import kept_int8
from quantize.engines.inc.outcome import Result, in_order_of_preference
from quantize.engines.inc.search import Measured
from quantize.engines.inc.settings import IncSettings
from quantize.engines.inc.tuner import IncTuner
from quantize.engines.protocols import EvaluateCallback, Trial
from quantize.measurement.machine.memory import peak_resident_bytes
from quantize.recipe import Recipe
from quantize.run.context import Context
from quantize.run.native_recipe import weighted_nodes
from quantize.run.search import Found, Search

_STOPPED = {
    "met": "a candidate met the criterion",
    "timeout": "the time was used up",
    "time_budget": "the time budget was used up",
    "max_trials": "the number of trials was used up",
    "exhausted": "Neural Compressor had nothing more to try",
    "failed": "Neural Compressor failed",
    "abandoned": "it was interrupted",
    None: "it did not begin",
}


def inc_settings(config: RunConfig, calibration_images: int) -> IncSettings:
    """Return Neural Compressor's settings.

    As in its 1.x, a timeout of 0 ends the search at the first candidate that meets the criterion; another goes on
    until the time is used up.
    """
    quantization, tuning = config.quantization, config.tuning
    timeout = tuning.exit_policy.timeout
    return IncSettings(
        framework=config.model.framework,
        approach=quantization.approach,
        sampling_size=calibration_images,
        strategy=tuning.strategy.name,
        timeout=timeout or None,
        max_trials=tuning.exit_policy.max_trials,
        random_seed=tuning.random_seed,
        reduce_range=quantization.narrow_weights,
        op_wise={name: constraint.lists() for name, constraint in quantization.op_wise.items()},
        optype_wise={name: constraint.lists() for name, constraint in quantization.optype_wise.items()},
        model_wise=quantization.model_wise.lists(),
        stop_when_met=timeout == 0,
        time_budget=tuning.time_budget,
    )


def tune_with_inc(context: Context, search: Search, rejected: Collection[str] = ()) -> Found:
    """Search with Neural Compressor.

    Args:
        context: The run.
        search: Its criterion, and the trials that were finished before.
        rejected: Ids of recipes that do not count as met: their files missed the criterion.

    Raises:
        EngineError: It is missing or failed, or gave no model at all.
    """
    calibration = context.batches(context.images.calibration)
    known = {
        recorded.trial.recipe.id: recorded.trial.metric
        for recorded in search.earlier
        if recorded.trial.metric is not None
    }
    peaks: list[int] = []

    def watch(pid: int) -> None:
        peak = peak_resident_bytes(pid)
        if peak is not None:
            peaks.append(peak)

    graphs = {
        recorded.trial.artifact.graph_sha256: Measured(recorded.trial.recipe.id, recorded.trial.metric)
        for recorded in reversed(search.earlier)
        if recorded.trial.artifact is not None
    }
    earlier = sum(recorded.trial.seconds for recorded in search.earlier)
    settings = inc_settings(context.config, len(calibration.crops))
    if settings.time_budget is not None:
        settings = replace(settings, time_budget=max(settings.time_budget - earlier, 0.0))
    tuner = IncTuner(settings, context.folder.work, known, watch, graphs, rejected)

    def tune(evaluate: EvaluateCallback) -> Iterator[Trial]:
        return tuner.tune(context.model, search.criterion, evaluate, calibration)

    def choice() -> tuple[str | None, str]:
        return None, _STOPPED[tuner.outcome.stopped if tuner.outcome else None]

    found = preferred(search.run(tune, choice), search.criterion, rejected)
    return replace(
        found,
        seconds=found.seconds + earlier,
        peak_bytes=max(peaks, default=None),
        may_go_on=settings.stop_when_met and tuner.outcome is not None and tuner.outcome.stopped == "met",
    )


def preferred(found: Found, criterion: Criterion, rejected: Collection[str] = ()) -> Found:
    """Return a search with the trial that this engine prefers as its choice, and the next ones behind it.

    Args:
        found: The search.
        criterion: What is good enough.
        rejected: Ids of recipes that do not count as met.
    """
    trials = {trial.recipe.id: trial for trial in found.trials if trial.artifact is not None and trial.repeats is None}
    results = [
        Result(trial.recipe, trial.metric, met=criterion.met(trial.metric) and trial.recipe.id not in rejected)
        for trial in trials.values()
    ]
    order = [trials[result.recipe.id] for result in in_order_of_preference(results)]
    return replace(found, chosen=order[0], others=tuple(order[1:])) if order else found


def weighted_int8(recipe: Recipe, model: ModelProto) -> tuple[int, int]:
    """Return how many of a model's ops with weights a recipe runs in int8, and how many there are."""
    if recipe.engine == "inc" and placed_nodes(recipe) is None:
        kept = kept_int8(recipe)
        return kept.weighted, kept.all_weighted
    nodes = weighted_nodes(model)
    left = set(recipe.float_nodes) | {node.name for node in model.graph.node if node.op_type in recipe.float_op_types}
    return len(nodes - left), len(nodes)
