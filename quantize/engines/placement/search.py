"""Choose where layers compute: those that measure slower in int8 on this machine go back to float.

One profile of fp32 and of the model as tuned gives the fastest assignment of its ops (a minimum cut at price 0); paired
measurements decide whether it is taken. Where even that is slower than fp32, everything computes in float, on weights
that are stored in int8: fp32's speed by construction, in a quarter of the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from onnx import ModelProto

from quantize.criterion import is_slower
from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.search.assignment import Costs, best_assignment, canonical
from quantize.engines.native.search.ladder import ladder
from quantize.engines.native.search.latency_model import ProfiledTimes, latency_model
from quantize.engines.native.search.op_graph import OpGraph, op_graph
from quantize.engines.native.search.result import AS_FAST, FASTER
from quantize.engines.placement.placed_model import int8_nodes, with_placement
from quantize.engines.placement.placement import Kind, Option, Placement, float_text, reason_for
from quantize.graph.nodes import WEIGHTED
from quantize.models.artifact import ModelArtifact
from quantize.recipe import Recipe
from quantize.rewrites import RatioInterval

_RUNGS = 8
_SMALLER = 0.98
"""A file that has at most this share of another's bytes is smaller."""


class PlacementBench(Protocol):
    """Builds, times and judges placements of one tuned model."""

    def built(self, recipe: Recipe, /) -> ModelArtifact:
        """Return a placement's model with its rewrites: what is timed and judged."""
        ...

    def profile(self, recipe: Recipe, /) -> ProfiledTimes:
        """Return the time of fp32 and of a placement's model, op by op."""
        ...

    def ratio(self, before: Recipe | None, after: Recipe, /) -> RatioInterval:
        """Return how much faster a placement is than another one (None: than fp32), measured in alternation."""
        ...

    def judged(self, recipe: Recipe, /) -> tuple[float | None, bool]:
        """Return a placement's metric, and whether it meets the criterion."""
        ...

    def sensitivity(self) -> Mapping[str, float]:
        """Return, by layer, how far the scores move where its weights alone are stored in int8."""
        ...


class PlacementSearch:
    """The choice of one tuned model's placement."""

    def __init__(
        self, fp32: ModelProto, candidate: ModelProto, recipe: Recipe, bench: PlacementBench, min_speedup: float = 1.0
    ) -> None:
        """Set up.

        Args:
            fp32: The prepared fp32 model.
            candidate: As the engine built it.
            recipe: As the engine found it.
            bench: Builds, times and judges.
            min_speedup: The requested speed-up; float arithmetic cannot reach one above 1.
        """
        self._recipe, self._bench, self._min_speedup = recipe, bench, min_speedup
        self._graph: OpGraph = op_graph(fp32, op_types_of(recipe.but(engine="native", float_op_types=())))
        self._int8 = int8_nodes(candidate, fp32)
        self._weighted = [node.name for node in fp32.graph.node if node.op_type in WEIGHTED]
        self._storable = frozenset(layer.node for layer in layers(fp32))
        self._options: list[Option] = []

    def chosen(self) -> Placement:
        """Return the fastest placement by measurement that meets the criterion, float where int8 is slower."""
        tuned = self._judged(Option("as tuned", self._recipe, speedup=self._bench.ratio(None, self._recipe)))
        costs = self._costs({})
        tuned = replace(tuned, predicted_ns=costs.time_ns(costs.fixed))
        self._options.append(tuned)
        best = tuned if tuned.met else None
        float_ops = canonical(costs, best_assignment(costs, 0.0))
        pays = not set(self._weighted) <= float_ops  # int8 arithmetic does anywhere, by prediction
        fastest = self._fastest(costs, float_ops, met=bool(tuned.met)) if pays else None
        if fastest is not None:
            self._options.append(fastest)
            best = fastest if fastest.met else best
        if pays and (best is None or _is_slow(best)):
            best = self._safer() or best
        if best is tuned:
            best = self._smaller(tuned) or tuned
        slow = best is not None and _is_slow(best)
        if best is not None and not slow and not self._float_is_smaller(best):
            return Placement(best, tuple(self._options), reason_for(best))
        alone = self.in_float()
        if best is not None and not slow and alone.bytes > _SMALLER * best.bytes:
            return Placement(best, tuple(self._options), reason_for(best))
        why = "no placement with int8 arithmetic meets the criterion"
        if best is not None:
            why = "int8 arithmetic is slower than fp32 here" if slow else "int8 arithmetic is no faster than fp32 here"
        return Placement(alone, tuple(self._options), f"{why}: {float_text(alone)}")

    def in_float(self) -> Option:
        """Return float arithmetic throughout, with as many weights stored in int8 as the criterion allows."""
        everything = frozenset([*self._weighted, *(op.name for op in self._graph.ops)])
        option = self._with_weights("float", everything, self._stored(everything))
        option = replace(option, speedup=self._bench.ratio(None, option.recipe))
        self._options.append(option)
        return option

    def _costs(self, sensitivity: Mapping[str, float]) -> Costs:
        """Return the predicted time of every assignment; what the engine left in float stays there."""
        latency = latency_model(self._bench.profile(self._recipe), self._graph)
        fixed = frozenset(op.name for op in self._graph.ops if op.name not in self._int8)
        return Costs(self._graph, latency, sensitivity, {}, fixed)

    def _fastest(self, costs: Costs, float_ops: frozenset[str], *, met: bool) -> Option | None:
        """Return the assignment with the least predicted time, judged where it measures faster than the model as tuned.

        Where that one misses the criterion, another that is no faster may still meet it.
        """
        before, after = costs.time_ns(costs.fixed), costs.time_ns(float_ops)
        if before < after * FASTER:
            return None
        whole = with_placement(self._recipe, float_ops - costs.fixed, self._stored(float_ops))
        gain = self._bench.ratio(self._recipe, whole)
        if met and (gain.ratio < FASTER or gain.low <= 1.0):
            return Option("fastest", whole, after, gain=gain, bytes=self._bench.built(whole).bytes)
        option = self._with_weights("fastest", float_ops - costs.fixed, self._stored(float_ops))
        return replace(option, predicted_ns=after, gain=gain, speedup=self._bench.ratio(None, option.recipe))

    def _smaller(self, tuned: Option) -> Option | None:
        """Return the model as tuned with the weights stored in int8 that the engine left in fp32, if it meets.

        It is as fast: the same layers compute in the same way.
        """
        stored = self._stored(frozenset(self._weighted) - self._int8)
        if not stored:
            return None
        recipe = with_placement(self._recipe, (), stored)
        smaller = replace(self._judged(Option("smaller", recipe, tuned.predicted_ns)), speedup=tuned.speedup)
        self._options.append(smaller)
        return smaller if smaller.met and smaller.bytes < tuned.bytes else None

    def _safer(self) -> Option | None:
        """Return the fastest rung from int8 to float that meets the criterion, its weights in float stored in int8."""
        costs = self._costs(self._bench.sensitivity())
        rungs = [rung for rung in ladder(costs, _RUNGS) if not set(self._weighted) <= set(rung.float_ops)]
        if not rungs:
            return None

        def option(number: int) -> Option:
            rung = rungs[number - 1]
            float_ops = frozenset(rung.float_ops)
            recipe = with_placement(self._recipe, float_ops - costs.fixed, self._stored(float_ops))
            return replace(self._judged(Option("safer", recipe)), predicted_ns=rung.time_ns)

        safer = first_that_passes(option, len(rungs))
        safer = replace(safer, speedup=self._bench.ratio(None, safer.recipe) if safer.met else None)
        self._options.append(safer)
        return safer if safer.met and not _is_slow(safer) else None

    def _stored(self, float_ops: frozenset[str]) -> list[str]:
        return [name for name in self._weighted if name in float_ops and name in self._storable]

    def _with_weights(self, kind: Kind, nodes: frozenset[str], stored: list[str]) -> Option:
        """Return a placement with all weights in float stored in int8, except the most sensitive if that misses."""

        def option(kept: int) -> Option:
            left = [name for name in stored if name not in order[:kept]] if kept else stored
            return self._judged(Option(kind, with_placement(self._recipe, nodes, left)))

        order: list[str] = []
        everything_stored = option(0)
        if everything_stored.met or not stored:
            return everything_stored
        sensitivity = self._bench.sensitivity()
        order = sorted(stored, key=lambda name: (-sensitivity.get(name, 0.0), name))
        return first_that_passes(option, len(stored))

    def _judged(self, option: Option) -> Option:
        metric, met = self._bench.judged(option.recipe)
        return replace(option, metric=metric, met=met, bytes=self._bench.built(option.recipe).bytes)

    def _float_is_smaller(self, option: Option) -> bool:
        """Return whether float arithmetic is as fast and may be smaller: layers in float may hold fp32 weights."""
        assert option.speedup is not None
        return option.speedup.ratio < AS_FAST and self._min_speedup <= 1.0


def first_that_passes(option: Callable[[int], Option], most: int) -> Option:
    """Return the option with the least number that meets the criterion, found by doubling and halving; else the last.

    Args:
        option: Gives the option of a number from 1 to ``most``; the greater, the closer to fp32.
        most: The greatest number.
    """
    low, high = 0, 1
    best = option(high)
    while not best.met and high < most:
        low, high = high, min(2 * high, most)
        best = option(high)
    while best.met and high - low > 1:
        middle = (low + high) // 2
        tried = option(middle)
        if tried.met:
            best, high = tried, middle
        else:
            low = middle
    return best


def _is_slow(option: Option) -> bool:
    """Return whether a placement is slower than fp32, by the rule of the verdict."""
    assert option.speedup is not None
    return is_slower(option.speedup)
