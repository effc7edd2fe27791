"""The engine ``native``: this project's own search and builder."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from onnx import ModelProto

from quantize.engines.engine import EngineSearch
from quantize.engines.native.builder.builder import op_types_of, source_graph
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from quantize.engines.native.constraints import constrained_recipe, range_rule
from quantize.engines.native.search.candidates import Judge
from quantize.engines.native.search.latency_table import PairedLatency
from quantize.engines.native.search.op_graph import head_ops, op_graph
from quantize.engines.native.search.race import WholeJudge, accept, race_judge
from quantize.engines.native.search.result import SearchResult
from quantize.engines.native.search.search import Search
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.source_graph import rebuild, stays_in_float
from quantize.engines.placement.placed_model import int8_layers
from quantize.engines.task import BuildTask, CalibrationSet, SearchTask
from quantize.engines.trial import CandidateRecord, PlacedTrial, SearchOutcome, SearchRecord, Trial, trial_of
from quantize.formats.float_reasons import FloatReason
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.timing.measurement import latency, speedups
from quantize.models.artifact import ModelArtifact
from quantize.models.session import open_session
from quantize.processes.memory import forget_peak, peak_resident_bytes
from quantize.processes.pool import available_cpus
from quantize.recipe import EngineName, Recipe

_LATENCY_SECONDS = 2.0
_LATENCY_RUNS = 100
_PROFILED_RUNS = 30


class NativeSearch:
    """One search by the native engine."""

    def __init__(self, task: SearchTask) -> None:
        self._task = task
        self._settings = search_settings(task)
        self._forgotten = False

    def trials(self) -> Iterator[Trial]:
        """Yield every trial, those of finished steps included."""
        self._forgotten = forget_peak()
        yield from self._search.trials()

    def outcome(self, trials: Sequence[Trial], _seconds: float, /) -> SearchOutcome:
        """Return every trial and the chosen one, built again without rewrites.

        They are applied, timed and reported one by one afterwards, as for every engine.
        """
        result = self._search.result
        best = result.chosen or result.best
        peak_bytes = peak_resident_bytes() if self._forgotten else None
        return SearchOutcome(
            chosen=self._bare(trial_of(trials, best.trial.recipe.id if best is not None else None)),
            stopped_because=result.stopped,
            seconds=self._search.elapsed,
            peak_bytes=peak_bytes,
            record=record_of(result),
            latencies=self._search.latency_table,
        )

    def after(self, trials: Sequence[Trial], chosen: Trial, rejected: Collection[str]) -> Trial | None:
        """Return the next candidate in order of preference; after the last one, fp32 itself if it is fast enough."""
        for recipe in self._search.in_order_of_preference():
            if recipe.but(rewrites=()).id not in rejected:
                known = next((trial for trial in trials if trial.recipe.id == recipe.id), None)
                return self._bare(known or replace(chosen, recipe=recipe, metric=None))
        return None

    def placed(self, _trial: Trial, /) -> PlacedTrial | None:
        """Return None: the search decides where layers compute."""
        return None

    def in_float(self, _trial: Trial, /) -> PlacedTrial:
        """Refuse: there is no placement to take back.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("the native engine's trials are not placed after its search")

    def _bare(self, trial: Trial) -> Trial:
        """Return a trial built again without its rewrites."""
        recipe = trial.recipe.but(rewrites=())
        return replace(trial, recipe=recipe, artifact=self._search.build(recipe))

    @cached_property
    def _search(self) -> Search:
        task, criterion = self._task, self._task.criterion
        bounds = [criterion.metric, criterion.baseline, criterion.relative, criterion.absolute, criterion.minimum]
        seed = task.tuning.random_seed
        return Search(
            task.model,
            self._settings,
            task.calibration,
            judge=self._judge(seed),
            measure=self._measure,
            profile=self._profile,
            journal=task.journal,
            inputs={"criterion": bounds, "evaluation": task.evaluation_fingerprint, "seed": seed},
            folder=task.folder,
            recorded=task.recorded,
            progress=task.progress,
        )

    def _judge(self, seed: int) -> Judge:
        callbacks, criterion = self._task.callbacks, self._task.criterion
        if criterion.metric == "none":
            return accept
        if criterion.metric == "map":
            return WholeJudge(criterion, callbacks.evaluate, callbacks.baseline().n)
        return race_judge(
            self._task.criterion, callbacks.baseline(), callbacks.evaluate_some, seed=seed, budget=self._task.budget
        )

    def _measure(self, candidate: ModelArtifact, baseline: ModelArtifact, beside: float | None) -> PairedLatency:
        measurement = self._task.callbacks.measure(
            baseline, candidate, seconds=_LATENCY_SECONDS, runs=_LATENCY_RUNS, beside=beside
        )
        (gain,) = speedups(measurement)
        times = latency(measurement, "baseline")
        baseline_ns = float(times.p50_ns or times.minimum_ns)
        return PairedLatency(
            baseline_ns=baseline_ns, candidate_ns=baseline_ns / gain.ratio, low=gain.low, high=gain.high
        )

    def _profile(self, candidate: ModelArtifact, recipe: Recipe) -> Profile:
        return self._task.callbacks.profile(self._task.model, candidate, recipe, runs=_PROFILED_RUNS)


class NativeEngine:
    """The project's own engine."""

    name: EngineName = "native"
    title: str = "native"
    in_words: str = "the native engine"
    corrects_own_scores: bool = True
    has_own_process: bool = False
    yields_trials_again = True

    def require(self) -> None:
        """Return: it is part of this package."""

    def search(self, task: SearchTask) -> EngineSearch:
        """Return a search that has not begun."""
        return NativeSearch(task)

    def first(self, task: BuildTask) -> Trial:
        """Return a candidate with everything on integers that can be, but for what follows the last layer."""
        began, model = time.monotonic(), task.model.proto()
        recipe = constrained_recipe(model, task.quantization, ())
        head = head_ops(op_graph(model, op_types_of(recipe)), {layer.node for layer in layers(model)})
        recipe = recipe.but(
            float_nodes=tuple(sorted({*recipe.float_nodes, *head})),
            details=(*recipe.details, (FLOAT_OUTPUTS, "true")),
        )
        built = rebuild(task.model, recipe, task.calibration, task.folder, threads=task.threads)
        open_session(built.path)
        return Trial(0, recipe, built, None, time.monotonic() - began)

    def build(self, model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path) -> ModelArtifact:
        """Return the model of a recipe."""
        return rebuild(model, recipe.but(rewrites=()), calibration, folder, threads=available_cpus())

    def reference(self, model: ModelProto, recipe: Recipe) -> ModelProto:
        """Return the fp32 graph as a recipe's candidates are built from: its weights may be equalized."""
        return source_graph(model, recipe)

    def stays_in_float(
        self, model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path
    ) -> Mapping[str, FloatReason]:
        """Return the nodes that stay in float whatever is asked, those without statistics too."""
        return stays_in_float(model, recipe, calibration, folder, threads=available_cpus())

    def int8_layers(self, recipe: Recipe, model: ModelProto) -> tuple[int, int]:
        """Return how many layers a recipe computes in int8, of how many."""
        return int8_layers(recipe, model)


ENGINE = NativeEngine()


def search_settings(task: SearchTask) -> SearchSettings:
    """Return what a search may do.

    Raises:
        ConfigError: The configuration asks for what this engine does not do.
    """
    recipe = constrained_recipe(task.model.proto(), task.quantization, task.rewrites)
    rule = range_rule(task.quantization)
    exit_policy = task.tuning.exit_policy
    settings = SearchSettings(
        recipe=recipe if rule is None else recipe.but(range_rule=rule),
        # On CPUs of another class than the target's, times say nothing about it.
        min_speedup=task.speed.min_speedup if task.speed.min_speedup > 0 and task.times_count else None,
        confidence=task.speed.confidence,
        max_trials=exit_policy.max_trials,
        max_seconds=min(task.tuning.time_budget, exit_policy.timeout or math.inf),
        threads=task.threads,
    )
    if task.tuning.quick:
        settings = settings.for_first_answer()
    return settings if rule is None else settings.model_copy(update={"range_rules": (rule,)})


def record_of(result: SearchResult) -> SearchRecord:
    """Return how a search went, the candidates that were only timed last."""
    front = {candidate.trial.index for candidate in result.pareto}
    evaluated = tuple(
        CandidateRecord(
            recipe_id=candidate.trial.recipe.id,
            step=candidate.stage,
            predicted_ns=candidate.predicted_ns,
            measured_ns=candidate.measured_ns,
            speedup=candidate.speedup,
            trial=candidate.trial.index,
            images=candidate.images,
            met=candidate.met,
            pareto=candidate.trial.index in front,
        )
        for candidate in result.candidates
    )
    return SearchRecord(evaluated + result.timed, compared=result.fidelity, seconds=result.seconds)
