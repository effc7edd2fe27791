"""Which ops stay in fp32: up the ladder of assignments to the first that passes, then to what is near it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from quantize.engines.protocols import Trial
from quantize.recipe import Recipe
from quantize.tuning.assignment import Costs
from quantize.tuning.bisect import Bisection
from quantize.tuning.candidates import Candidates
from quantize.tuning.effect import effective
from quantize.tuning.ladder import ladder
from quantize.tuning.neighbours import neighbours
from quantize.tuning.result import AS_FAST, FASTER, Stage, Timed, fastest_met
from quantize.tuning.settings import SearchSettings
from quantize.tuning.workbench import Workbench

_NEAR = 1.08
"""Rungs predicted to be at most this much slower are measured: predictions err by that much."""


class AssignmentSearch:
    """Goes through assignments of one recipe's ops to fp32 and int8."""

    def __init__(self, bench: Workbench, settings: SearchSettings, candidates: Candidates, costs: Costs) -> None:
        """Set up.

        Args:
            bench: Does and records the steps.
            settings: How many rungs and neighbours there are.
            candidates: Evaluates candidates, and keeps them.
            costs: Times and sensitivities.
        """
        self._bench, self._settings, self._candidates, self._costs = bench, settings, candidates, costs
        self._rungs = ladder(costs, settings.rungs)

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
            units = frozenset(rung.float_units)
            found = self._candidates.evaluated(self._with_float(recipe, units), rung.time_ns, "ladder")
            yield found.trial
            passed = found.met
            if index == 0 and not passed:
                for variant in variants:
                    found = self._candidates.evaluated(self._with_float(variant, units), rung.time_ns, "variant")
                    yield found.trial
                    if found.met:
                        return
            bisection.tell(index, passed=passed)
        if bisection.found is not None:
            return
        left = [rung for index, rung in enumerate(rungs) if index not in tried]
        for rung in left[: self._settings.neighbours]:
            candidate = self._with_float(recipe, frozenset(rung.float_units))
            found = self._candidates.evaluated(candidate, rung.time_ns, "ladder")
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
            for moved, stage in self._near(frozenset(best.trial.recipe.float_nodes)):
                candidate = self._with_float(best.trial.recipe, moved)
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
                nearer = self._is_nearer(moved, candidate, best.trial.recipe)
                to_beat = fastest.speedup / AS_FAST if nearer else fastest.speedup * FASTER
                predicted = self._costs.time_ns(moved)
                found = self._bench.latency(artifact, beside=fastest.trial.artifact, to_beat=to_beat)
                if found.speedup <= to_beat:
                    one = Timed(candidate.id, stage, predicted, found.candidate_ns, found.speedup)
                    self._candidates.timed.append(one)
                    continue
                evaluated = self._candidates.evaluated(candidate, predicted, stage, since=since)
                yield evaluated.trial
                if evaluated.met:
                    improved = True
                    break

    def _near(self, float_units: frozenset[str]) -> Iterator[tuple[frozenset[str], Stage]]:
        """Yield, in turns, assignments that may be faster and those that may be as fast and are less sensitive."""
        faster, safer = neighbours(self._costs, float_units), self._safer(float_units)
        for pair in zip_longest(((moved, "neighbour") for moved in faster), ((moved, "ladder") for moved in safer)):
            yield from (one for one in pair if one is not None)

    def _safer(self, float_units: frozenset[str]) -> Iterator[frozenset[str]]:
        """Yield rungs, and rungs but for one unit, that are less sensitive; the fastest by prediction come first.

        Predictions err, so that a rung with one unit less in fp32 may be the faster one after all.
        """
        most, sensitivity = _NEAR * self._costs.time_ns(float_units), self._costs.sensitivity(float_units)
        rungs = [frozenset(rung.float_units) for rung in self._rungs if rung.time_ns <= most]
        fewer = [effective(self._costs, rung - {unit}) for rung in rungs for unit in rung - self._costs.fixed]
        for moved in sorted({*rungs, *fewer}, key=lambda units: (self._costs.time_ns(units), sorted(units))):
            if self._costs.time_ns(moved) <= most and self._costs.sensitivity(moved) < sensitivity:
                yield moved

    def _is_nearer(self, moved: frozenset[str], candidate: Recipe, best: Recipe) -> bool:
        """Return whether an assignment's candidate is nearer to fp32; a more sensitive one is not asked."""
        now = self._costs.sensitivity(frozenset(best.float_nodes))
        return self._costs.sensitivity(moved) < now and self._candidates.nearer(candidate, best)

    def _with_float(self, recipe: Recipe, units: frozenset[str]) -> Recipe:
        return recipe.but(float_nodes=tuple(sorted(units | self._costs.fixed)))
