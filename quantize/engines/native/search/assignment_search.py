"""Which ops stay in fp32: climb the ladder of assignments to the first that passes, then try its neighbours.

Layers that compute in fp32 have their weights stored in int8, except those that ``WeightStorage`` keeps in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from quantize.engines.native.search.assignment import Costs, canonical
from quantize.engines.native.search.candidate_builder import CandidateBuilder
from quantize.engines.native.search.candidates import Candidates
from quantize.engines.native.search.ladder import Bisection, Rung, ladder, neighbours
from quantize.engines.native.search.latency_timer import LatencyTimer
from quantize.engines.native.search.recipe_choice import Comparisons
from quantize.engines.native.search.result import AS_FAST, FASTER, Stage, fastest_met, preferred
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.weight_storage import WeightStorage, with_placement
from quantize.engines.trial import CandidateRecord, Trial
from quantize.recipe import Recipe

_NEAR = 1.08
"""Rungs predicted to be at most this much slower are measured: predictions err by that much."""


class AssignmentSearch:
    """Goes through assignments of one recipe's ops to fp32 and int8."""

    def __init__(
        self,
        costs: Costs,
        storage: WeightStorage,
        settings: SearchSettings,
        *,
        builder: CandidateBuilder,
        timer: LatencyTimer,
        candidates: Candidates,
        comparisons: Comparisons,
    ) -> None:
        """Set up.

        Args:
            costs: Times and sensitivities.
            storage: Which weights are stored in int8 where layers compute in fp32.
            settings: How many rungs and neighbours there are.
            builder: Builds candidates.
            timer: Times them.
            candidates: Evaluates them, and keeps them.
            comparisons: Tells which of two is closer to fp32.
        """
        self._costs, self._storage, self._settings = costs, storage, settings
        self._builder, self._timer, self._candidates, self._comparisons = builder, timer, candidates, comparisons
        self._rungs = ladder(costs, settings.rungs)
        self._uint8: dict[str, frozenset[str]] = {}

    def climb(self, recipe: Recipe, variants: Sequence[Recipe]) -> Iterator[Trial]:
        """Bisect over the ladder; near the tolerance, where chance decides, also try skipped rungs.

        Where the fastest rung fails, recipes that are as fast and nearly as near to fp32 are tried before slower rungs.
        """
        rungs = self._rungs
        bisection = Bisection(len(rungs))
        tried: set[int] = set()
        while (index := bisection.next) is not None:
            tried.add(index)
            rung = rungs[index]
            of_rung = self._of_rung(recipe, rung)
            candidate = self._candidates.evaluated_of(of_rung)
            if candidate is None:
                candidate = self._candidates.evaluate(of_rung, rung.time_ns, "ladder")
                yield candidate.trial
            passed = candidate.met
            if index == 0 and not passed:
                for other in variants:
                    variant = self._candidates.evaluate(self._of_rung(other, rung), rung.time_ns, "variant")
                    yield variant.trial
                    if variant.met:
                        return
            bisection.record(index, passed=passed)
        if bisection.first is not None:
            return
        skipped = [rung for index, rung in enumerate(rungs) if index not in tried]
        for rung in skipped[: self._settings.neighbours]:
            candidate = self._candidates.evaluate(self._of_rung(recipe, rung), rung.time_ns, "ladder")
            yield candidate.trial
            if candidate.met:
                return

    def improve(self) -> Iterator[Trial]:
        """Measure neighbours of the chosen candidate; evaluate those faster, or as fast and closer to fp32."""
        evaluated = self._candidates.evaluated
        measured = 0
        tried = {candidate.trial.recipe.id for candidate in evaluated}
        graphs = {candidate.trial.artifact.graph_sha256 for candidate in evaluated if candidate.trial.artifact}
        improved = True
        while improved:
            improved = False
            best, fastest = preferred(evaluated, self._comparisons.is_nearer), fastest_met(evaluated)
            if best is None or fastest is None or fastest.speedup is None:
                return
            recipe = best.trial.recipe
            uint8 = self._uint8.get(recipe.id, frozenset(recipe.uint8_nodes))
            costs = self._costs.with_uint8(uint8 & self._costs.uint8_ns.keys())
            for moved, stage in self._near(costs, frozenset(recipe.float_nodes)):
                changed = self._with_float(recipe, moved, uint8)
                if changed.id in tried:
                    continue
                if measured >= self._settings.neighbours:
                    return
                self._candidates.check_budget()
                since = self._candidates.spent
                tried.add(changed.id)
                artifact = self._builder.build(changed)
                if isinstance(artifact, str) or artifact.graph_sha256 in graphs:
                    continue
                graphs.add(artifact.graph_sha256)
                measured += 1
                # What is only as fast has to be nearer to fp32, which takes less time to tell: speed-ups that differ by
                # so little are told apart last. What is not nearer has to be faster.
                less_sensitive = costs.sensitivity(moved) < costs.sensitivity(frozenset(recipe.float_nodes))
                is_nearer = less_sensitive and self._comparisons.is_nearer(changed, recipe)
                to_beat = fastest.speedup / AS_FAST if is_nearer else fastest.speedup * FASTER
                predicted = costs.time_ns(moved)
                timed = self._timer.latency(
                    artifact, recipe=changed.id, baseline=fastest.trial.artifact, to_beat=to_beat
                )
                is_fast = timed.ratio > to_beat
                if not is_fast:
                    slower = CandidateRecord(changed.id, stage, predicted, timed.candidate_ns, timed.ratio)
                    self._candidates.timed.append(slower)
                    continue
                candidate = self._candidates.evaluate(changed, predicted, stage, since=since)
                yield candidate.trial
                if candidate.met:
                    improved = True
                    break

    def _near(self, costs: Costs, float_ops: frozenset[str]) -> Iterator[tuple[frozenset[str], Stage]]:
        """Yield, in turns, assignments that may be faster and those that may be as fast and are less sensitive."""
        faster, safer = neighbours(costs, float_ops), self._safer(costs, float_ops)
        for pair in zip_longest(((moved, "neighbour") for moved in faster), ((moved, "ladder") for moved in safer)):
            yield from (assignment for assignment in pair if assignment is not None)

    def _safer(self, costs: Costs, float_ops: frozenset[str]) -> Iterator[frozenset[str]]:
        """Yield rungs, and rungs with one op less in fp32, that are less sensitive; the fastest by prediction first.

        Predictions err, so that a rung with one op less in fp32 may be the faster one after all.
        """
        most, sensitivity = _NEAR * costs.time_ns(float_ops), costs.sensitivity(float_ops)
        rungs = [frozenset(rung.float_ops) for rung in self._rungs if rung.time_ns <= most]
        fewer = [canonical(costs, rung - {op}) for rung in rungs for op in rung - costs.fixed]
        for moved in sorted({*rungs, *fewer}, key=lambda ops: (costs.time_ns(ops), sorted(ops))):
            if costs.time_ns(moved) <= most and costs.sensitivity(moved) < sensitivity:
                yield moved

    def _of_rung(self, recipe: Recipe, rung: Rung) -> Recipe:
        return self._with_float(recipe, frozenset(rung.float_ops), frozenset(rung.uint8_ops))

    def _with_float(self, recipe: Recipe, ops: frozenset[str], uint8: frozenset[str]) -> Recipe:
        """Return a recipe with these ops in fp32, and those of uint8 weights that are not among them."""
        changed = with_placement(recipe, ops | self._costs.fixed, self._storage.choices(ops)[0], uint8)
        self._uint8[changed.id] = uint8
        return changed
