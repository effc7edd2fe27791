"""The search for the fastest candidate that is accurate enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from quantize.engines.engine import Trial
from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.weights import narrow_layers
from quantize.engines.native.search.assignment import Costs
from quantize.engines.native.search.assignment_search import AssignmentSearch
from quantize.engines.native.search.candidates import BudgetSpentError, Candidates
from quantize.engines.native.search.fallback import in_fp32
from quantize.engines.native.search.latency_model import latency_model
from quantize.engines.native.search.profiled_times import ProfiledTimes
from quantize.engines.native.search.recipe_search import RecipeSearch
from quantize.engines.native.search.result import SearchResult, Stopped, best_of, fastest_met, pareto
from quantize.engines.native.search.sensitivity import Sensitivity
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.storage import Storage, placed, storage_of
from quantize.engines.native.search.tensor_users import borders_of
from quantize.engines.native.search.units import UnitGraph, unit_graph
from quantize.engines.native.search.workbench import Workbench
from quantize.errors import ModelError
from quantize.progress import Progress, silent
from quantize.recipe import Recipe


class Search:
    """One search on one model.

    The recipe's range rules and corrections are chosen first, on calibration images; then the units' assignment to
    int8 and fp32, on the evaluation images and the clock.
    """

    def __init__(self, bench: Workbench, settings: SearchSettings, *, progress: Progress = silent) -> None:
        """Set up; ``trials`` does the work.

        Args:
            bench: Does and records the steps.
            settings: What the search may do.
            progress: Told after every candidate.
        """
        self._bench, self._settings = bench, settings
        self._recipes = RecipeSearch(bench, settings)
        self._candidates = Candidates(bench, settings, self._recipes.divergences, progress=progress)
        self._sensitivity: Sensitivity | None = None
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

    def in_order_of_preference(self) -> Iterator[Recipe]:
        """Yield the recipes that meet the criterion and are fast enough, and at last fp32 itself if it is fast enough.

        The chosen one comes first, then the fastest.

        Raises:
            ValueError: If ``trials`` has not been exhausted.
        """
        chosen = self.result.chosen
        fast = [one for one in self._candidates.found if one.met and one.speed in ("met", "inconclusive")]
        fast.sort(key=lambda one: (one is not chosen, one.speed != "met", -(one.speedup or 0.0)))
        yield from (one.trial.recipe for one in fast)
        if fast and self._settings.may_end_in_fp32:
            recipe = fast[0].trial.recipe
            yield placed(recipe, self._everything(recipe), frozenset())

    def trials(self) -> Iterator[Trial]:
        """Search, and yield every evaluated candidate as a trial."""
        stopped: Stopped = "search finished"
        candidates = self._candidates
        recipe: Recipe | None = None
        try:
            chosen = self._recipes.chosen()
            recipe = chosen.recipe
            graph = unit_graph(self._bench.source(recipe), op_types_of(recipe))
            self._sensitivity = self._bench.sensitivity(recipe, graph)
            recipe = self._recipes.with_tensor_rules(chosen, self._sensitivity).recipe
            before = len(candidates.found)
            costs = self._costs(recipe, graph, self._sensitivity)
            yield from (one.trial for one in candidates.found[before:])
            if costs is not None:
                storage = self._storage(recipe)
                assignments = AssignmentSearch(self._bench, self._settings, candidates, costs, storage)
                yield from assignments.climb(recipe, self._recipes.variants(recipe))
                yield from assignments.improve()
            yield from self._in_fp32(recipe, bounded=True)
        except BudgetSpentError as spent:
            stopped = spent.what
            if recipe is not None:
                yield from self._in_fp32(recipe, bounded=False)
        preferred = candidates.preferred(compare=stopped == "search finished")
        self._result = SearchResult(
            candidates=tuple(candidates.found),
            chosen=preferred,
            best=preferred or best_of(candidates.found),
            pareto=pareto([one for one in candidates.found if one.complete]),
            stopped=stopped,
            sensitivity=self._sensitivity,
            fidelity=tuple(self._recipes.fidelity),
            seconds=dict(self._bench.seconds),
            timed=tuple(candidates.timed),
        )

    def _in_fp32(self, recipe: Recipe, *, bounded: bool) -> Iterator[Trial]:
        """Fall back to fp32 arithmetic where nothing else is good enough, and that is fast enough."""
        if not self._settings.may_end_in_fp32 or fastest_met(self._candidates.found) is not None:
            return
        units, storage = self._everything(recipe), self._storage(recipe)
        yield from in_fp32(self._candidates, recipe, units, storage, bounded=bounded)

    def _everything(self, recipe: Recipe) -> frozenset[str]:
        graph = unit_graph(self._bench.source(recipe), op_types_of(recipe))
        return frozenset(unit.name for unit in graph.units) | frozenset(recipe.float_nodes)

    def _storage(self, recipe: Recipe) -> Storage:
        """Return which weights may be stored; those that the configuration keeps in fp32 may not."""
        weights = {} if self._sensitivity is None else self._sensitivity.weights
        return storage_of(self._bench.source(recipe), self._settings.recipe, weights)

    def _costs(self, recipe: Recipe, graph: UnitGraph, sensitivity: Sensitivity) -> Costs | None:
        """Return times and sensitivities; None, with a failed candidate, where the all-int8 one cannot be had."""
        times = self._profiled(recipe)
        if times is None:
            return None
        source = self._bench.source(recipe)
        borders = borders_of(source, graph)
        latency = latency_model(times, graph, borders)
        fixed = frozenset(recipe.float_nodes)
        costs = Costs(graph, borders, latency, sensitivity.weights, sensitivity.tensors, fixed)
        narrow = frozenset(narrow_layers(source, recipe)) & {unit.name for unit in graph.units} - fixed
        if not narrow:
            return costs
        wide = recipe.but(uint8_nodes=tuple(sorted(narrow)))
        wide_times = self._profiled(wide)
        if wide_times is None:
            return costs
        uint8 = latency_model(wide_times, graph, borders).int8_ns
        weights = self._bench.sensitivity(wide, graph, weights_only=True).weights
        return replace(
            costs,
            uint8_ns={name: uint8[name] for name in narrow},
            uint8_weights={name: weights[name] for name in narrow if name in weights},
        )

    def _profiled(self, recipe: Recipe) -> ProfiledTimes | None:
        """Return the profile of a recipe's candidate; None, with a failed candidate, where it cannot be had."""
        artifact = self._bench.built(recipe)
        if isinstance(artifact, str):
            self._candidates.failed(recipe, artifact, "ladder")
            return None
        try:
            return self._bench.profile(recipe, artifact)
        except ModelError as error:  # onnxruntime does not open it
            self._candidates.failed(recipe, str(error), "ladder", during="profile")
            return None
