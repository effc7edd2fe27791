"""Which ops stay in fp32: up the ladder of assignments to the first that passes, then to what is near it.

Layers that compute in fp32 have their weights stored in int8, but for those that ``Storage`` keeps in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from quantize.engines.engine import Trial
from quantize.engines.native.search.assignment import Costs
from quantize.engines.native.search.bisect import Bisection
from quantize.engines.native.search.candidates import Candidates
from quantize.engines.native.search.effective_assignment import effective
from quantize.engines.native.search.ladder import Rung, ladder
from quantize.engines.native.search.neighbours import neighbours
from quantize.engines.native.search.result import AS_FAST, FASTER, Stage, Timed, fastest_met
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.storage import Storage, placed
from quantize.engines.native.search.workbench import Workbench
from quantize.recipe import Recipe

_NEAR = 1.08
"""Rungs predicted to be at most this much slower are measured: predictions err by that much."""


class AssignmentSearch:
    """Goes through assignments of one recipe's ops to fp32 and int8."""

    def __init__(
        self, bench: Workbench, settings: SearchSettings, candidates: Candidates, costs: Costs, storage: Storage
    ) -> None:
        """Set up.

        Args:
            bench: Does and records the steps.
            settings: How many rungs and neighbours there are.
            candidates: Evaluates candidates, and keeps them.
            costs: Times and sensitivities.
            storage: Which weights are stored in int8 where layers compute in fp32.
        """
        self._bench, self._settings, self._candidates, self._storage = bench, settings, candidates, storage
        self._rungs = ladder(costs, settings.rungs)
        self._fixed = costs.fixed
        self._costs = costs
        self._uint8: dict[str, frozenset[str]] = {}

    def climb(self, recipe: Recipe, variants: Sequence[Recipe]) -> Iterator[Trial]:
        """Bisect over the ladder; near the tolerance, where chance decides, go on to what was passed over.

        Where the fastest rung fails, recipes that are as fast and nearly as near to fp32 are tried before slower rungs.
        """
        rungs = self._rungs
        bisection = Bisection(len(rungs))
        tried: set[int] = set()
        while (index := bisection.next) is not None:
            tried.add(index)
            rung = rungs[index]
            found = self._candidates.evaluated(self._of_rung(recipe, rung), rung.time_ns, "ladder")
            yield found.trial
            passed = found.met
            if index == 0 and not passed:
                for variant in variants:
                    found = self._candidates.evaluated(self._of_rung(variant, rung), rung.time_ns, "variant")
                    yield found.trial
                    if found.met:
                        return
            bisection.tell(index, passed=passed)
        if bisection.found is not None:
            return
        left = [rung for index, rung in enumerate(rungs) if index not in tried]
        for rung in left[: self._settings.neighbours]:
            found = self._candidates.evaluated(self._of_rung(recipe, rung), rung.time_ns, "ladder")
            yield found.trial
            if found.met:
                return

    def improve(self) -> Iterator[Trial]:
        """Measure what is near the chosen candidate; evaluate what is faster, or as fast and nearer to fp32."""
        measured = 0
        tried = {one.trial.recipe.id for one in self._candidates.found}
        graphs = self._candidates.graphs
        improved = True
        while improved:
            improved = False
            best, fastest = self._candidates.preferred(), fastest_met(self._candidates.found)
            if best is None or fastest is None or fastest.speedup is None:
                return
            recipe = best.trial.recipe
            uint8 = self._uint8.get(recipe.id, frozenset(recipe.uint8_nodes))
            costs = self._costs.with_uint8(uint8 & self._costs.uint8_ns.keys())
            for moved, stage in self._near(costs, frozenset(recipe.float_nodes)):
                candidate = self._with_float(recipe, moved, uint8)
                if candidate.id in tried:
                    continue
                if measured >= self._settings.neighbours:
                    return
                self._candidates.check_budget()
                since = self._candidates.spent
                tried.add(candidate.id)
                artifact = self._bench.built(candidate)
                if isinstance(artifact, str) or artifact.graph_sha256 in graphs:
                    continue
                graphs.add(artifact.graph_sha256)
                measured += 1
                nearer = self._is_nearer(costs, moved, candidate, recipe)
                to_beat = fastest.speedup / AS_FAST if nearer else fastest.speedup * FASTER
                predicted = costs.time_ns(moved)
                found = self._bench.latency(
                    artifact, recipe=candidate.id, beside=fastest.trial.artifact, to_beat=to_beat
                )
                if found.ratio <= to_beat:
                    one = Timed(candidate.id, stage, predicted, found.candidate_ns, found.ratio)
                    self._candidates.timed.append(one)
                    continue
                evaluated = self._candidates.evaluated(candidate, predicted, stage, since=since)
                yield evaluated.trial
                if evaluated.met:
                    improved = True
                    break

    def _near(self, costs: Costs, float_units: frozenset[str]) -> Iterator[tuple[frozenset[str], Stage]]:
        """Yield, in turns, assignments that may be faster and those that may be as fast and are less sensitive."""
        faster, safer = neighbours(costs, float_units), self._safer(costs, float_units)
        for pair in zip_longest(((moved, "neighbour") for moved in faster), ((moved, "ladder") for moved in safer)):
            yield from (one for one in pair if one is not None)

    def _safer(self, costs: Costs, float_units: frozenset[str]) -> Iterator[frozenset[str]]:
        """Yield rungs, and rungs but for one unit, that are less sensitive; the fastest by prediction come first.

        Predictions err, so that a rung with one unit less in fp32 may be the faster one after all.
        """
        most, sensitivity = _NEAR * costs.time_ns(float_units), costs.sensitivity(float_units)
        rungs = [frozenset(rung.float_units) for rung in self._rungs if rung.time_ns <= most]
        fewer = [effective(costs, rung - {unit}) for rung in rungs for unit in rung - costs.fixed]
        for moved in sorted({*rungs, *fewer}, key=lambda units: (costs.time_ns(units), sorted(units))):
            if costs.time_ns(moved) <= most and costs.sensitivity(moved) < sensitivity:
                yield moved

    def _is_nearer(self, costs: Costs, moved: frozenset[str], candidate: Recipe, best: Recipe) -> bool:
        """Return whether an assignment's candidate is nearer to fp32; a more sensitive one is not asked."""
        now = costs.sensitivity(frozenset(best.float_nodes))
        return costs.sensitivity(moved) < now and self._candidates.nearer(candidate, best)

    def _of_rung(self, recipe: Recipe, rung: Rung) -> Recipe:
        return self._with_float(recipe, frozenset(rung.float_units), frozenset(rung.uint8_units))

    def _with_float(self, recipe: Recipe, units: frozenset[str], uint8: frozenset[str]) -> Recipe:
        """Return a recipe with these units in fp32, and those of uint8 weights that are not among them."""
        found = placed(recipe, units | self._fixed, self._storage.choices(units)[0], uint8)
        self._uint8[found.id] = uint8
        return found
