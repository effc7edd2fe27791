"""The engine ``inc``: search with Neural Compressor, and rebuild its recipes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from onnx import ModelProto

from quantize.config.quantization import OpConstraint
from quantize.criterion import Criterion
from quantize.engines.engine import EngineSearch
from quantize.engines.float_nodes import nodes_in_float
from quantize.engines.inc.decision import kept_int8
from quantize.engines.inc.job import require_neural_compressor
from quantize.engines.inc.search import Measured
from quantize.engines.inc.settings import IncSettings
from quantize.engines.inc.tuner import IncBuilder, IncTuner
from quantize.engines.placement.bench import choose_placement, place_in_float
from quantize.engines.placement.placed_model import int8_layers, placed_nodes
from quantize.engines.task import BuildTask, CalibrationSet, SearchTask
from quantize.engines.trial import PlacedTrial, SearchOutcome, Trial, trial_of
from quantize.formats.float_reasons import FloatReason
from quantize.models.artifact import ModelArtifact
from quantize.processes.memory import peak_resident_bytes
from quantize.recipe import EngineName, Recipe

_TITLE = "Neural Compressor"
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


class IncSearch:
    """One search by Neural Compressor."""

    def __init__(self, task: SearchTask) -> None:
        self._task = task
        self._settings = inc_settings(task, seconds_of(task.earlier))
        self._peak_bytes: list[int] = []
        built = [trial for trial in task.earlier if trial.artifact is not None]
        known = {trial.recipe.id: trial.metric for trial in task.earlier if trial.metric is not None}
        graphs = {
            trial.artifact.graph_sha256: Measured(trial.recipe.id, trial.metric)
            for trial in reversed(built)
            if trial.artifact is not None
        }
        self._tuner = IncTuner(self._settings, task.folder, known, self._watch, graphs, task.rejected)

    def trials(self) -> Iterator[Trial]:
        """Yield the trials that were not finished earlier."""
        task = self._task
        return self._tuner.tune(task.model, task.criterion, task.callbacks.evaluate, task.calibration.batches)

    def outcome(self, trials: Sequence[Trial], seconds: float) -> SearchOutcome:
        """Return the trials that met the criterion in this engine's order of preference, or the best that missed."""
        task, stopped = self._task, self._tuner.stopped
        order = in_order(trials, task.criterion, task.rejected) or [trial_of(trials, None)]
        return SearchOutcome(
            chosen=order[0],
            others=tuple(order[1:]),
            stopped_because=_STOPPED[stopped],
            seconds=seconds + seconds_of(task.earlier),
            may_go_on=self._settings.stop_when_met and stopped == "met",
            peak_bytes=max(self._peak_bytes, default=None),
        )

    def after(self, _trials: Sequence[Trial], _chosen: Trial, _rejected: Collection[str], /) -> Trial | None:
        """Return None: all that met the criterion are in the outcome."""
        return None

    def placed(self, trial: Trial) -> PlacedTrial:
        """Return a trial with its layers where they are fastest on this machine."""
        return choose_placement(self._task, trial, _TITLE)

    def in_float(self, trial: Trial) -> PlacedTrial:
        """Return a trial with float arithmetic throughout."""
        return place_in_float(self._task, trial)

    def _watch(self, pid: int) -> None:
        peak_bytes = peak_resident_bytes(pid)
        if peak_bytes is not None:
            self._peak_bytes.append(peak_bytes)


class IncEngine:
    """Neural Compressor."""

    name: EngineName = "inc"
    title: str = _TITLE
    in_words: str = _TITLE
    corrects_own_scores: bool = False
    has_own_process: bool = True
    yields_trials_again = False

    def require(self) -> None:
        """Raise where Neural Compressor is not installed."""
        require_neural_compressor()

    def search(self, task: SearchTask) -> EngineSearch:
        """Return a search that has not begun."""
        return IncSearch(task)

    def first(self, task: BuildTask) -> Trial:
        """Return the first candidate of Neural Compressor's strategy that onnxruntime opens."""
        tuner, trials = IncTuner(inc_settings(task), task.folder), []
        with closing(tuner.tune(task.model, Criterion("none"), lambda _: 0.0, task.calibration.batches)) as found:
            for trial in found:
                trials.append(trial)
                if trial.artifact is not None:
                    break
        return trial_of(trials, None)

    def build(self, model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path) -> ModelArtifact:
        """Return the model of a recipe, its placement included."""
        return IncBuilder(folder).build(model, recipe.but(rewrites=()), calibration.batches)

    def reference(self, model: ModelProto, _recipe: Recipe, /) -> ModelProto:
        """Return the fp32 model itself: Neural Compressor quantizes its weights as they are."""
        return model

    def stays_in_float(
        self, model: ModelArtifact, recipe: Recipe, _calibration: CalibrationSet, _folder: Path, /
    ) -> Mapping[str, FloatReason]:
        """Return the nodes that stay in float whatever is asked."""
        return nodes_in_float(model.proto(), recipe)

    def int8_layers(self, recipe: Recipe, model: ModelProto) -> tuple[int, int]:
        """Return how many layers a recipe computes in int8, of how many."""
        if placed_nodes(recipe) is not None:
            return int8_layers(recipe, model)
        kept = kept_int8(recipe)
        return kept.weighted, kept.all_weighted


ENGINE = IncEngine()


def inc_settings(task: BuildTask, spent: float = 0.0) -> IncSettings:
    """Return Neural Compressor's settings.

    As in its 1.x, a timeout of 0 ends the search at the first candidate that meets the criterion; another continues
    until the time is used up.

    Args:
        task: What is asked for.
        spent: Seconds of the time budget that earlier trials took.
    """
    quantization, tuning = task.quantization, task.tuning
    timeout = tuning.exit_policy.timeout
    return IncSettings(
        framework=task.framework,
        approach=quantization.approach,
        sampling_size=task.calibration.count,
        strategy=tuning.strategy.name,
        timeout=timeout or None,
        max_trials=tuning.exit_policy.max_trials,
        random_seed=tuning.random_seed,
        reduce_range=quantization.narrow_weights,
        op_wise=_constraints("op_wise", quantization.op_wise),
        optype_wise=_constraints("optype_wise", quantization.optype_wise),
        model_wise=quantization.model_wise.for_neural_compressor("quantization.model_wise"),
        stop_when_met=timeout == 0,
        time_budget=max(tuning.time_budget - spent, 0.0),
    )


def _constraints(block: str, given: Mapping[str, OpConstraint]) -> dict[str, dict[str, dict[str, list[str]]]]:
    return {
        name: constraint.for_neural_compressor(f"quantization.{block}.{name}") for name, constraint in given.items()
    }


def in_order(trials: Sequence[Trial], criterion: Criterion, rejected: Collection[str]) -> list[Trial]:
    """Return the trials that met the criterion: those with most ops in int8 first, then by metric, then as they came.

    Neural Compressor itself prefers the candidate whose evaluation took the least time, which is another one each
    time; the share of ops in int8 stands for speed here.

    Args:
        trials: All trials.
        criterion: What is good enough.
        rejected: Ids of recipes that do not count as met.
    """

    def most_int8(trial: Trial) -> tuple[int, int, float]:
        kept = kept_int8(trial.recipe)
        return kept.weighted, kept.ops, trial.metric if trial.metric is not None else 0.0

    built = {trial.recipe.id: trial for trial in trials if trial.artifact is not None and trial.repeats is None}
    met = [trial for trial in built.values() if criterion.met(trial.metric) and trial.recipe.id not in rejected]
    return sorted(met, key=most_int8, reverse=True)


def seconds_of(trials: Sequence[Trial]) -> float:
    """Return how long finished trials took."""
    return sum(trial.seconds for trial in trials)
