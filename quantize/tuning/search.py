"""The search for the fastest candidate that is accurate enough."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import onnx

from quantize.engines.native import CORRECTIONS, op_types_of
from quantize.engines.native_equalization import equalizable
from quantize.engines.native_layers import layers
from quantize.engines.native_placing import EQUALIZATION
from quantize.engines.native_qdq import FLOAT_OUTPUTS
from quantize.engines.native_ranges import COMMON_GRIDS, COMMON_SCALES
from quantize.engines.protocols import Failure, Trial
from quantize.progress import Progress, silent
from quantize.recipe import Recipe
from quantize.tuning.assignment import Costs
from quantize.tuning.bisect import Bisection
from quantize.tuning.evidence import MOMENT_IMAGES
from quantize.tuning.ladder import ladder
from quantize.tuning.latency import Borders, latency_model
from quantize.tuning.neighbours import neighbours
from quantize.tuning.recipe_choice import Chosen, choose_corrections, choose_rule, choose_tensor_rules, start
from quantize.tuning.result import Candidate, SearchResult, Stage, Stopped, fastest_met, nearest, pareto
from quantize.tuning.sensitivity import Sensitivity
from quantize.tuning.settings import SearchSettings
from quantize.tuning.units import UnitGraph, unit_graph
from quantize.tuning.workbench import Workbench

_AS_NEAR = 1.3
"""A recipe counts as nearly as near to fp32 as the best if its divergence is at most this many times as large."""
_WORTH = 1.01
"""A neighbour replaces the best only if it is measured this much faster: less is noise."""


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
        self._bench, self._settings, self._progress = bench, settings, progress
        self._candidates: list[Candidate] = []
        self._fidelity: list[tuple[str, float]] = []
        self._compared: dict[str, tuple[Recipe, tuple[float, ...]]] = {}
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
        try:
            chosen_recipe = self._choose_recipe()
            graph = unit_graph(self._bench.source(chosen_recipe.recipe), op_types_of(chosen_recipe.recipe))
            sensitivity = self._bench.sensitivity(chosen_recipe.recipe, graph)
            recipe = self._choose_tensors(chosen_recipe, sensitivity).recipe
            costs = self._costs(recipe, graph, sensitivity)
            if costs is None:
                yield self._candidates[-1].trial
            else:
                yield from self._climb(recipe, costs)
                yield from self._improve(costs)
        except _BudgetSpentError as spent:
            stopped = spent.what
        chosen = fastest_met(self._candidates)
        self._result = SearchResult(
            candidates=tuple(self._candidates),
            chosen=chosen,
            best=chosen or nearest(self._candidates),
            pareto=pareto([one for one in self._candidates if one.complete]),
            stopped=stopped,
            sensitivity=sensitivity,
            fidelity=tuple(self._fidelity),
            seconds=dict(self._bench.seconds),
        )

    def _choose_recipe(self) -> Chosen:
        settings, bench = self._settings, self._bench
        details = {
            **{name: json.loads(value) for name, value in settings.recipe.details},
            FLOAT_OUTPUTS: True,
            MOMENT_IMAGES: settings.moment_images,
            COMMON_GRIDS: COMMON_SCALES in settings.recipe.rewrites,
        }
        head = _head(bench.proto, settings.recipe)
        own_rules = settings.recipe.range_rules
        if not self._is_rule_fixed:
            # The greatest values of what the head takes are the scores that decide: clipping them is no saving.
            own_rules = tuple(
                sorted(
                    {
                        **dict.fromkeys(_head_inputs(bench.proto, settings.recipe), "minmax"),
                        **dict(own_rules),
                    }.items()
                )
            )
        recipe = settings.recipe.but(
            details=tuple(sorted((name, json.dumps(value)) for name, value in details.items())),
            float_nodes=tuple(sorted({*settings.recipe.float_nodes, *head})),
            range_rule=settings.range_rules[0],
            range_rules=own_rules,
        )
        bench.calibrate(recipe)
        chosen = choose_rule(start(recipe, self._divergences), settings.range_rules, self._divergences)
        wanted = [
            name
            for name in settings.corrections
            if name != EQUALIZATION or next(equalizable(bench.source(recipe)), None) is not None
        ]
        return choose_corrections(chosen, wanted, CORRECTIONS, self._divergences)

    def _choose_tensors(self, best: Chosen, sensitivity: Sensitivity) -> Chosen:
        order = sorted(sensitivity.tensors, key=lambda name: (-sensitivity.tensors[name], name))
        tensors = [] if self._is_rule_fixed else order[: self._settings.choose_tensors]
        return choose_tensor_rules(best, tensors, self._settings.range_rules, self._divergences)

    @property
    def _is_rule_fixed(self) -> bool:
        return len(self._settings.range_rules) == 1

    def _divergences(self, recipe: Recipe) -> tuple[float, ...]:
        found = self._bench.divergences(recipe)
        self._compared[recipe.id] = (recipe, found)
        self._fidelity.append((_described(recipe), math.fsum(found) / len(found)))
        return found

    def _costs(self, recipe: Recipe, graph: UnitGraph, sensitivity: Sensitivity) -> Costs | None:
        """Return times and sensitivities; None, with a failed candidate, where the all-int8 one cannot be built."""
        artifact = self._bench.built(recipe)
        if isinstance(artifact, str):
            self._failed(recipe, artifact)
            return None
        borders = _borders(self._bench.source(recipe), graph)
        times = latency_model(self._bench.profile(recipe, artifact), graph, borders)
        fixed = frozenset(recipe.float_nodes)
        return Costs(graph, borders, times, sensitivity.weights, sensitivity.tensors, fixed)

    def _climb(self, recipe: Recipe, costs: Costs) -> Iterator[Trial]:
        """Bisect over the ladder; near the tolerance, where chance decides, go on to what was passed over.

        Where the fastest rung fails, recipes that are as fast and nearly as near to fp32 are tried before slower rungs.
        """
        rungs = ladder(costs, self._settings.rungs)
        bisection = Bisection(len(rungs))
        tried: set[int] = set()
        while (index := bisection.next) is not None:
            tried.add(index)
            rung = rungs[index]
            found = self._evaluated(_with_float(recipe, costs, frozenset(rung.float_units)), rung.time_ns, "ladder")
            yield found.trial
            passed = found.met
            if index == 0 and not passed:
                for variant in self._variants(recipe):
                    candidate = _with_float(variant, costs, frozenset(rung.float_units))
                    found = self._evaluated(candidate, rung.time_ns, "variant")
                    yield found.trial
                    if found.met:
                        return
            bisection.tell(index, passed=passed)
        if bisection.found is not None:
            return
        left = [rung for index, rung in enumerate(rungs) if index not in tried]
        for rung in left[: self._settings.neighbours]:
            found = self._evaluated(_with_float(recipe, costs, frozenset(rung.float_units)), rung.time_ns, "ladder")
            yield found.trial
            if found.met:
                return

    def _variants(self, recipe: Recipe) -> list[Recipe]:
        """Return other recipes that were compared on calibration images, those nearest to fp32 first."""
        best = self._compared[recipe.id]
        known = {best[1]}
        found = []
        for other, divergences in sorted(self._compared.values(), key=lambda pair: (math.fsum(pair[1]), pair[0].id)):
            if divergences not in known and math.fsum(divergences) <= _AS_NEAR * math.fsum(best[1]):
                known.add(divergences)
                found.append(other)
        return found[: self._settings.variants]

    def _improve(self, costs: Costs) -> Iterator[Trial]:
        """Measure neighbours of the fastest candidate that meets the goal; evaluate those that are faster still."""
        measured = 0
        tried = {one.trial.recipe.id for one in self._candidates}
        improved = True
        while improved:
            improved = False
            best = fastest_met(self._candidates)
            if best is None or best.speedup is None:
                return
            for moved in neighbours(costs, frozenset(best.trial.recipe.float_nodes)):
                candidate = _with_float(best.trial.recipe, costs, moved)
                if candidate.id in tried:
                    continue
                if measured >= self._settings.neighbours:
                    return
                self._check_budget()
                tried.add(candidate.id)
                measured += 1
                artifact = self._bench.built(candidate)
                if isinstance(artifact, str):
                    continue
                to_beat = best.speedup * _WORTH
                if self._bench.latency(candidate, artifact, to_beat=to_beat).speedup <= to_beat:
                    continue
                found = self._evaluated(candidate, costs.time_ns(moved), "neighbour")
                yield found.trial
                if found.met:
                    improved = True
                    break

    def _evaluated(self, recipe: Recipe, predicted_ns: float, stage: Stage) -> Candidate:
        self._check_budget()
        before = sum(self._bench.seconds.values())
        artifact = self._bench.built(recipe)
        if isinstance(artifact, str):
            return self._failed(recipe, artifact, predicted_ns)
        judged = self._bench.judged(recipe, artifact)
        timed = self._bench.latency(recipe, artifact) if judged.met or judged.complete else None
        seconds = sum(self._bench.seconds.values()) - before
        candidate = Candidate(
            trial=Trial(len(self._candidates), recipe, artifact, judged.metric, seconds),
            met=judged.met,
            speedup=None if timed is None else timed.speedup,
            predicted_ns=predicted_ns,
            measured_ns=None if timed is None else timed.candidate_ns,
            stage=stage,
            images=judged.images,
            complete=judged.complete,
        )
        self._candidates.append(candidate)
        self._progress("search", len(self._candidates), self._settings.max_trials)
        return candidate

    def _failed(self, recipe: Recipe, error: str, predicted_ns: float | None = None) -> Candidate:
        trial = Trial(len(self._candidates), recipe, None, None, 0.0, Failure("quantize", error))
        candidate = Candidate(
            trial=trial,
            met=False,
            speedup=None,
            predicted_ns=predicted_ns,
            measured_ns=None,
            stage="ladder",
            images=0,
            complete=False,
        )
        self._candidates.append(candidate)
        return candidate

    def _check_budget(self) -> None:
        trials, seconds = self._settings.max_trials, self._settings.max_seconds
        if trials is not None and len(self._candidates) >= trials:
            raise _BudgetSpentError("trial budget spent")
        # There is always a result: the first candidate is evaluated whatever the time.
        if seconds is not None and self._candidates and self._bench.elapsed >= seconds:
            raise _BudgetSpentError("time budget spent")


class _BudgetSpentError(Exception):
    """Ends the search where it stands."""

    def __init__(self, what: Stopped) -> None:
        super().__init__(what)
        self.what: Stopped = what


def _with_float(recipe: Recipe, costs: Costs, units: frozenset[str]) -> Recipe:
    return recipe.but(float_nodes=tuple(sorted(units | costs.fixed)))


def _head(model: onnx.ModelProto, recipe: Recipe) -> frozenset[str]:
    """Return the units behind the last layer with weights: they cost little, and in int8 make equal scores."""
    graph = unit_graph(model, op_types_of(recipe))
    weighted = {layer.node for layer in layers(model)}
    consumers = graph.consumers
    head: set[str] = set()
    for unit in reversed(graph.units):
        if unit.name not in weighted and all(taker.name in head for taker in consumers.get(unit.output, ())):
            head.add(unit.name)
    return frozenset(head)


def _head_inputs(model: onnx.ModelProto, recipe: Recipe) -> frozenset[str]:
    """Return the tensors that the head takes from what is quantized."""
    graph, head = unit_graph(model, op_types_of(recipe)), _head(model, recipe)
    taken = {name for unit in graph.units if unit.name in head for name in unit.inputs}
    return frozenset(taken - {unit.output for unit in graph.units if unit.name in head} - {graph.image})


def _borders(model: onnx.ModelProto, graph: UnitGraph) -> Borders:
    """Return the borders of a graph; what ops that are never quantized take, and the scores, is taken in fp32."""
    in_units = {position for unit in graph.units for position in unit.nodes}
    taken = {name for at, node in enumerate(model.graph.node) if at not in in_units for name in node.input}
    free = {unit.output for unit in graph.units if unit.op_type in ("Gemm", "MatMul") and unit.output == graph.scores}
    return Borders(graph, frozenset(taken | {graph.scores}), frozenset(free))


def _described(recipe: Recipe) -> str:
    own = [f"{tensor}: {rule}" for tensor, rule in recipe.range_rules]
    return ", ".join([recipe.range_rule, *recipe.corrections, *own])
