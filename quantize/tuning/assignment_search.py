"""Which ops stay in fp32: up the ladder of assignments to the first that passes, then to its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quantize.engines.protocols import Trial
from quantize.recipe import Recipe
from quantize.tuning.assignment import Costs
from quantize.tuning.bisect import Bisection
from quantize.tuning.candidates import Candidates
from quantize.tuning.ladder import ladder
from quantize.tuning.neighbours import neighbours
from quantize.tuning.result import Timed, fastest_met
from quantize.tuning.settings import SearchSettings
from quantize.tuning.workbench import Workbench

_WORTH = 1.01
"""A neighbour replaces the best only if it is measured this much faster: less is noise."""


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

    def climb(self, recipe: Recipe, variants: Sequence[Recipe]) -> Iterator[Trial]:
        """Bisect over the ladder; near the tolerance, where chance decides, go on to what was passed over.

        Where the fastest rung fails, recipes that are as fast and nearly as near to fp32 are tried before slower rungs.
        """
        rungs = ladder(self._costs, self._settings.rungs)
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
        """Measure neighbours of the fastest candidate that meets the goal; evaluate those that are faster still."""
        measured = 0
        tried = {one.trial.recipe.id for one in self._candidates.found}
        graphs = self._candidates.graphs
        improved = True
        while improved:
            improved = False
            best = fastest_met(self._candidates.found)
            if best is None or best.speedup is None:
                return
            for moved in neighbours(self._costs, frozenset(best.trial.recipe.float_nodes)):
                candidate = self._with_float(best.trial.recipe, moved)
                if candidate.id in tried:
                    continue
                if measured >= self._settings.neighbours:
                    return
                self._candidates.check_budget()
                tried.add(candidate.id)
                artifact = self._bench.built(candidate)
                if isinstance(artifact, str) or artifact.graph_sha256 in graphs:
                    continue
                graphs.add(artifact.graph_sha256)
                measured += 1
                to_beat = best.speedup * _WORTH
                predicted, measured_now = self._costs.time_ns(moved), self._bench.latency(artifact, to_beat=to_beat)
                if measured_now.speedup <= to_beat:
                    one = Timed(candidate.id, predicted, measured_now.candidate_ns, measured_now.speedup)
                    self._candidates.timed.append(one)
                    continue
                found = self._candidates.evaluated(candidate, predicted, "neighbour")
                yield found.trial
                if found.met:
                    improved = True
                    break

    def _with_float(self, recipe: Recipe, units: frozenset[str]) -> Recipe:
        return recipe.but(float_nodes=tuple(sorted(units | self._costs.fixed)))
