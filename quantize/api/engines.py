"""Which engine searches, with which settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from onnx import ModelProto

from quantize.api.context import Context
from quantize.api.native_recipe import weighted_nodes
from quantize.api.search import Found, Search
from quantize.benchmark.memory import peak_resident_bytes
from quantize.config.run_config import RunConfig
from quantize.engines.inc import IncTuner
from quantize.engines.inc_kept import kept_int8
from quantize.engines.inc_settings import IncSettings
from quantize.engines.protocols import EvaluateCallback, Trial
from quantize.recipe import Recipe

_STOPPED = {
    "met": "a candidate met the criterion",
    "timeout": "the time was used up",
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
    )


def tune_with_inc(context: Context, search: Search) -> Found:
    """Search with Neural Compressor.

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

    settings = inc_settings(context.config, len(calibration.crops))
    tuner = IncTuner(settings, context.folder.work, known, watch)

    def tune(evaluate: EvaluateCallback) -> Iterator[Trial]:
        return tuner.tune(context.model, search.goal, evaluate, calibration)

    def choice() -> tuple[str | None, str]:
        outcome = tuner.outcome
        return (outcome.chosen or outcome.best, _STOPPED[outcome.stopped]) if outcome else (None, _STOPPED[None])

    found = search.run(tune, choice)
    earlier = sum(recorded.trial.seconds for recorded in search.earlier)
    return replace(found, seconds=found.seconds + earlier, peak_bytes=max(peaks, default=None))


def weighted_int8(recipe: Recipe, model: ModelProto) -> tuple[int, int]:
    """Return how many of a model's ops with weights a recipe runs in int8, and how many there are."""
    if recipe.engine == "inc":
        kept = kept_int8(recipe)
        return kept.weighted, kept.all_weighted
    nodes = weighted_nodes(model)
    left = set(recipe.float_nodes) | {node.name for node in model.graph.node if node.op_type in recipe.float_op_types}
    return len(nodes - left), len(nodes)
