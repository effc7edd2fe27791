"""The search for the fastest candidate that is accurate enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.search.assignment_search import AssignmentSearch
from quantize.engines.native.search.candidate_builder import CandidateBuilder
from quantize.engines.native.search.candidates import BudgetSpentError, Candidates, Judge
from quantize.engines.native.search.cost_measurement import CostMeasurement
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.engines.native.search.latency_timer import LatencyTimer, MeasureLatency, ProfileCandidate
from quantize.engines.native.search.op_graph import OpGraph, op_graph
from quantize.engines.native.search.recipe_choice import Comparisons
from quantize.engines.native.search.recipe_search import RecipeSearch
from quantize.engines.native.search.result import SearchResult, Stopped, best_of, fastest_met, pareto, preferred
from quantize.engines.native.search.scorer import CrossValidation
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.sensitivity import Sensitivity
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.weight_storage import (
    WeightStorage,
    evaluate_in_fp32,
    weight_storage,
    with_placement,
)
from quantize.engines.task import CalibrationSet
from quantize.engines.trial import Trial
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

_FOR_RECIPES = 0.6
"""Share of the time budget in which recipes are compared, at most."""
_COMPARED_IMAGES = 64
"""Images of each half of the calibration set that recipes are compared on, at most."""


class Search:
    """One search on one model.

    The recipe's range rules and corrections are chosen first, on calibration images; then the ops' assignment to int8
    and fp32, on the evaluation images and the clock.
    """

    def __init__(
        self,
        model: ModelArtifact,
        settings: SearchSettings,
        calibration: CalibrationSet,
        *,
        judge: Judge,
        measure: MeasureLatency,
        profile: ProfileCandidate,
        journal: Journal,
        inputs: Mapping[str, Any],
        folder: Path,
        recorded: LatencyTable | None = None,
        progress: Progress = silent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up; ``trials`` does the work.

        Args:
            model: The prepared fp32 model.
            settings: What the search may do.
            calibration: The calibration images.
            judge: Evaluates candidates.
            measure: Times a candidate in alternation with the fp32 model or another candidate.
            profile: Profiles the fp32 model and a candidate.
            journal: The run's journal; the search's steps are a part of it.
            inputs: JSON values of what judgements depend on: the criterion, the evaluation images and the seed.
            folder: The run's work folder.
            recorded: Recorded times to decide by.
            progress: Called after every step of a stage.
            clock: Gives the time in seconds.
        """
        everything = {
            "model": model.graph_sha256,
            "settings": settings.model_dump(mode="json"),
            "calibration": calibration.fingerprint,
            "latencies": "measured" if recorded is None else "recorded",
            **inputs,
        }
        self._settings = settings
        self._journal = SearchJournal(journal.part("native", everything), clock)
        self._timer = LatencyTimer(model, self._journal, measure, profile, recorded, settings.min_speedup or 1.0)
        self._builder = CandidateBuilder(model, settings, calibration, self._journal, folder, progress=progress)
        most = _COMPARED_IMAGES
        validation = CrossValidation(self._builder, self._journal, most=most, threads=settings.threads)
        self._recipes = RecipeSearch(self._builder, validation.divergences, settings, has_time=self._has_time)
        self._comparisons = Comparisons(self._recipes.divergences)
        self._candidates = Candidates(self._builder, judge, self._timer, self._journal, settings, progress=progress)
        self._measurement = CostMeasurement(
            self._builder, self._timer, self._candidates, settings, self._journal, progress=progress
        )
        self._sensitivity: Sensitivity | None = None
        self._in_haste = False
        self._recipe: Recipe | None = None
        self._result: SearchResult | None = None

    @property
    def result(self) -> SearchResult:
        """Return what was found.

        Raises:
            ValueError: If ``trials`` has not been exhausted.
        """
        if self._result is None:
            raise ValueError("the search has not come to its end")
        return self._result

    @property
    def elapsed(self) -> float:
        """Return the seconds spent, those of finished steps before a resumption included."""
        return self._journal.elapsed

    @property
    def latency_table(self) -> LatencyTable:
        """Return all times that were used."""
        return self._timer.table

    def build(self, recipe: Recipe) -> ModelArtifact:
        """Return a recipe's candidate, whatever the journal knows; the weights that the search rounded are used."""
        artifact = self._builder.source(recipe).build(self._builder.model, recipe)
        self._builder.release()  # the files are built in the same memory
        return artifact

    def in_order_of_preference(self) -> Iterator[Recipe]:
        """Yield the recipes that meet the criterion and are fast enough, and at last fp32 itself if it is fast enough.

        The chosen one comes first, then the fastest.

        Raises:
            ValueError: If ``trials`` has not been exhausted.
        """
        chosen = self.result.chosen
        met = [candidate for candidate in self._candidates.evaluated if candidate.met]
        fast = [candidate for candidate in met if candidate.speed in ("met", "inconclusive")]
        fast.sort(key=lambda fit: (fit is not chosen, fit.speed != "met", -(fit.speedup or 0.0)))
        yield from (candidate.trial.recipe for candidate in fast)
        if fast and self._settings.may_end_in_fp32:
            recipe = fast[0].trial.recipe
            yield with_placement(recipe, self._all_ops(recipe), frozenset())

    def trials(self) -> Iterator[Trial]:
        """Search, and yield every evaluated candidate as a trial."""
        stopped: Stopped = "search finished"
        candidates = self._candidates
        try:
            self._journal.remember("calibrate", "statistics", self._calibrated_images, int)
            if self._settings.first_answer:
                yield from self._first_answers()
            # What is accurate enough and still too slow is none the faster for being more accurate.
            if not (self._settings.first_answer and any(candidate.met for candidate in candidates.evaluated)):
                yield from self._all_trials()
        except BudgetSpentError as spent:
            stopped = spent.what
            if self._recipe is not None:
                yield from self._in_fp32(self._recipe, bounded=False)
        has_time = stopped == "search finished" and not self._settings.first_answer
        if stopped == "search finished" and (self._recipes.left_out or self._in_haste):
            stopped = "time budget spent"
        is_nearer = partial(self._comparisons.is_nearer, compare=has_time)
        chosen = preferred(candidates.evaluated, is_nearer)
        self._result = SearchResult(
            candidates=tuple(candidates.evaluated),
            chosen=chosen,
            best=chosen or best_of(candidates.evaluated),
            pareto=pareto([candidate for candidate in candidates.evaluated if candidate.complete]),
            stopped=stopped,
            sensitivity=self._sensitivity,
            fidelity=tuple(self._recipes.fidelity),
            seconds=dict(self._journal.seconds),
            timed=tuple(candidates.timed),
        )

    def _first_answers(self) -> Iterator[Trial]:
        """Evaluate everything in int8 and, where that is accurate but slow, what is fastest by a profile alone."""
        for recipe in self._recipes.uncompared():
            self._recipe = recipe
            whole = self._candidates.evaluate(recipe, None, "ladder")
            yield whole.trial
            if whole.met:
                break
        else:
            return
        if fastest_met(self._candidates.evaluated) is None:
            graph = op_graph(self._builder.source(recipe).graph, op_types_of(recipe))
            yield from self._assigned(recipe, graph, Sensitivity({}, {}, images=0, uint8_weights={}), [])
            yield from self._in_fp32(recipe, bounded=True)

    def _all_trials(self) -> Iterator[Trial]:
        """Choose the recipe, then which ops compute in int8."""
        best = self._recipes.best()
        recipe = self._recipe = best.recipe
        graph = op_graph(self._builder.source(recipe).graph, op_types_of(recipe))
        in_haste = self._in_haste = not self._has_time(f"sensitivity:{recipe.id}")
        if in_haste:  # an answer first; the rest of the time is for a better one
            if self._candidates.evaluated_of(recipe) is None:
                yield self._candidates.evaluate(recipe, None, "ladder").trial
            self._candidates.check_budget()
        self._sensitivity = self._measurement.sensitivity(recipe, graph, in_haste=in_haste)
        recipe = self._recipe = self._recipes.with_tensor_rules(best, self._sensitivity).recipe
        yield from self._assigned(recipe, graph, self._sensitivity, self._recipes.variants(recipe))
        yield from self._in_fp32(recipe, bounded=True)

    def _has_time(self, step: str) -> bool:
        """Return whether the recipe may be chosen by this step still; the rest of the budget is for what follows.

        It is remembered: a search that is resumed counts less time, and is to choose what the whole one did.
        """
        most = self._settings.max_seconds
        if most is None:
            return True
        until, journal = _FOR_RECIPES * most, self._journal
        return bool(journal.remember("choose recipe", f"time:{step}", lambda: journal.elapsed < until, bool))

    def _assigned(
        self, recipe: Recipe, graph: OpGraph, sensitivity: Sensitivity, variants: Sequence[Recipe]
    ) -> Iterator[Trial]:
        """Evaluate assignments of the ops to int8 and fp32, from the fastest on."""
        candidates = self._candidates
        before = len(candidates.evaluated)
        costs = self._measurement.costs(recipe, graph, sensitivity)
        yield from (candidate.trial for candidate in candidates.evaluated[before:])
        if costs is not None:
            assignments = AssignmentSearch(
                costs,
                self._storage(recipe),
                self._settings,
                builder=self._builder,
                timer=self._timer,
                candidates=candidates,
                comparisons=self._comparisons,
            )
            yield from assignments.climb(recipe, variants)
            if self._settings.neighbours:
                yield from assignments.improve()

    def _calibrated_images(self) -> int:
        """Collect the statistics that the first recipe needs, and return of how many images."""
        return self._builder.source(self._recipes.first).statistics("all").images

    def _in_fp32(self, recipe: Recipe, *, bounded: bool) -> Iterator[Trial]:
        """Fall back to fp32 arithmetic where nothing else is good enough, and that is fast enough."""
        if not self._settings.may_end_in_fp32 or fastest_met(self._candidates.evaluated) is not None:
            return
        ops, storage = self._all_ops(recipe), self._storage(recipe)
        yield from evaluate_in_fp32(self._candidates, recipe, ops, storage, bounded=bounded)

    def _all_ops(self, recipe: Recipe) -> frozenset[str]:
        graph = op_graph(self._builder.source(recipe).graph, op_types_of(recipe))
        return frozenset(op.name for op in graph.ops) | frozenset(recipe.float_nodes)

    def _storage(self, recipe: Recipe) -> WeightStorage:
        """Return which weights may be stored; those that the configuration keeps in fp32 may not."""
        weights = {} if self._sensitivity is None else self._sensitivity.weights
        return weight_storage(self._builder.source(recipe).graph, self._settings.recipe, weights)
