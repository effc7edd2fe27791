"""The search for the fastest candidate that is accurate enough."""

from __future__ import annotations

from collections.abc import Iterator

from quantize.engines.native import op_types_of
from quantize.engines.protocols import Trial
from quantize.progress import Progress, silent
from quantize.recipe import Recipe
from quantize.tuning.assignment import Costs
from quantize.tuning.assignment_search import AssignmentSearch
from quantize.tuning.borders import borders_of
from quantize.tuning.candidates import BudgetSpentError, Candidates
from quantize.tuning.latency import latency_model
from quantize.tuning.recipe_search import RecipeSearch
from quantize.tuning.result import SearchResult, Stopped, nearest, pareto
from quantize.tuning.sensitivity import Sensitivity
from quantize.tuning.settings import SearchSettings
from quantize.tuning.units import UnitGraph, unit_graph
from quantize.tuning.workbench import Workbench


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

    def trials(self) -> Iterator[Trial]:
        """Search, and yield every evaluated candidate as a trial."""
        sensitivity: Sensitivity | None = None
        stopped: Stopped = "search finished"
        candidates = self._candidates
        try:
            chosen = self._recipes.chosen()
            graph = unit_graph(self._bench.source(chosen.recipe), op_types_of(chosen.recipe))
            sensitivity = self._bench.sensitivity(chosen.recipe, graph)
            recipe = self._recipes.with_tensor_rules(chosen, sensitivity).recipe
            costs = self._costs(recipe, graph, sensitivity)
            if costs is None:
                yield candidates.found[-1].trial
            else:
                assignments = AssignmentSearch(self._bench, self._settings, candidates, costs)
                yield from assignments.climb(recipe, self._recipes.variants(recipe))
                yield from assignments.improve()
        except BudgetSpentError as spent:
            stopped = spent.what
        preferred = candidates.preferred(compare=stopped == "search finished")
        self._result = SearchResult(
            candidates=tuple(candidates.found),
            chosen=preferred,
            best=preferred or nearest(candidates.found),
            pareto=pareto([one for one in candidates.found if one.complete]),
            stopped=stopped,
            sensitivity=sensitivity,
            fidelity=tuple(self._recipes.fidelity),
            seconds=dict(self._bench.seconds),
            timed=tuple(candidates.timed),
        )

    def _costs(self, recipe: Recipe, graph: UnitGraph, sensitivity: Sensitivity) -> Costs | None:
        """Return times and sensitivities; None, with a failed candidate, where the all-int8 one cannot be built."""
        artifact = self._bench.built(recipe)
        if isinstance(artifact, str):
            self._candidates.failed(recipe, artifact, "ladder")
            return None
        borders = borders_of(self._bench.source(recipe), graph)
        times = latency_model(self._bench.profile(recipe, artifact), graph, borders)
        fixed = frozenset(recipe.float_nodes)
        return Costs(graph, borders, times, sensitivity.weights, sensitivity.tensors, fixed)
