"""Choose the range rules and corrections of candidates by their effect on the scores of calibration images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import cached_property

from quantize.engines.native.builder.activation_grids import COMMON_GRIDS, COMMON_SCALES
from quantize.engines.native.builder.builder import op_types_of, source_graph
from quantize.engines.native.builder.equalization import equalizable
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from quantize.engines.native.builder.smoothable import smoothable
from quantize.engines.native.builder.smoothing import SMOOTHING, with_smoothing
from quantize.engines.native.builder.weights import BIAS, CORRECTIONS, EQUALIZATION, ROUNDING, SCORES
from quantize.engines.native.search.candidate_builder import CandidateBuilder
from quantize.engines.native.search.op_graph import head_inputs, head_ops, op_graph
from quantize.engines.native.search.recipe_choice import (
    CHANCE,
    MANY_CHOICES,
    ComparedRecipe,
    IsHopeless,
    Measure,
    better,
    choose_corrections,
    choose_rule,
    choose_tensor_rules,
    start,
)
from quantize.engines.native.search.sensitivity import Sensitivity
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.source_graph import MOMENT_IMAGES
from quantize.recipe import Recipe

_AS_NEAR = 1.3
"""A recipe counts as nearly as near to fp32 as the best if its divergence is at most this many times as large."""
_BY_THEORY = (ROUNDING, BIAS, SCORES)
"""Corrections that lessen an error and make no other."""
_NEXT_TO_FREE = (BIAS, SCORES)
"""Those of them that cost next to no time."""
_FOR_ONE_ANOTHER = (ROUNDING, BIAS)
"""Rounding leaves to the bias what changes the mean alone: it is another problem, to be solved anew, without."""


class RecipeSearch:
    """Compares recipes on calibration images, and remembers all that it compared.

    Attributes:
        fidelity: (recipe in words, mean KL to fp32) of every recipe that was compared, in order.
        left_out: The recipes that there was no time to compare.
    """

    def __init__(
        self,
        builder: CandidateBuilder,
        measure: Measure,
        settings: SearchSettings,
        *,
        has_time: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Set up.

        Args:
            builder: Has the graphs that candidates are built from.
            measure: Returns the KL from fp32 of calibration images, in nats.
            settings: What may be tried.
            has_time: Says whether there is time for a step of this name, for the same step always the same.
        """
        self._builder, self._measure, self._settings, self._has_time = builder, measure, settings, has_time
        self._compared: dict[str, tuple[Recipe, tuple[float, ...]]] = {}
        self._images = 0
        self._measured: set[str] = set()
        self.left_out: list[Recipe] = []
        self.fidelity: list[tuple[str, float]] = []

    @cached_property
    def first(self) -> Recipe:
        """The recipe to beat: the first rule, no correction, the head in fp32."""
        settings = self._settings
        proto = source_graph(self._builder.model, settings.recipe)
        graph = op_graph(proto, op_types_of(settings.recipe))
        head = head_ops(graph, {layer.node for layer in layers(proto)})
        details = {
            **{name: json.loads(value) for name, value in settings.recipe.details},
            FLOAT_OUTPUTS: True,
            MOMENT_IMAGES: settings.moment_images,
            COMMON_GRIDS: COMMON_SCALES in settings.recipe.rewrites,
        }
        own_rules = settings.recipe.range_rules
        if not self._is_rule_fixed:
            # The greatest values of what the head takes are the scores that decide: clipping them is no saving.
            kept = dict.fromkeys(head_inputs(graph, head), "minmax")
            own_rules = tuple(sorted({**kept, **dict(own_rules)}.items()))
        return settings.recipe.but(
            details=tuple(sorted((name, json.dumps(value)) for name, value in details.items())),
            float_nodes=tuple(sorted({*settings.recipe.float_nodes, *head})),
            range_rule=settings.range_rules[0],
            range_rules=own_rules,
        )

    def uncompared(self) -> Iterator[Recipe]:
        """Yield a recipe for each range rule, with the corrections that lessen an error by theory; none is measured."""
        for rule in self._settings.range_rules:
            yield self.first.but(
                range_rule=rule, corrections=tuple(name for name in CORRECTIONS if name in self._settings.corrections)
            )

    def best(self) -> ComparedRecipe:
        """Return the recipe with the range rule and the corrections that are nearest to fp32."""
        settings = self._settings
        best = start(self.first, self.divergences)
        if self._smooths_normalizations:  # before the range rules, which see other tensors with it
            best = self._smoothed(best, CHANCE)
        best = choose_rule(best, settings.range_rules, self._while_time)
        wanted = [
            name
            for name in settings.corrections
            if name not in (SMOOTHING, EQUALIZATION)
            or (name == EQUALIZATION and next(equalizable(self._builder.source(best.recipe).graph), None) is not None)
        ]
        best = choose_corrections(
            best, wanted, CORRECTIONS, self._while_time, expected=_BY_THEORY, together=_FOR_ONE_ANOTHER
        )
        # What the weights pay for smoothed tensors is less once they are rounded with the others in mind. All that was
        # tried so far was chosen on these images.
        return self._with_left_out(self._smoothed(best, MANY_CHOICES))

    def _with_left_out(self, best: ComparedRecipe) -> ComparedRecipe:
        """Return the recipe with the corrections that there was no time to try and that need not be: next to free."""
        recipe = best.recipe
        for name in _NEXT_TO_FREE:
            if any(name in other.corrections for other in self.left_out):
                names = {*recipe.corrections, name}
                more = recipe.but(corrections=tuple(known for known in CORRECTIONS if known in names))
                recipe = recipe if more.id in self._measured else more  # what was compared was no better
        self._compared.setdefault(recipe.id, (recipe, best.divergences))
        return ComparedRecipe(recipe, best.divergences)

    @property
    def _smooths_normalizations(self) -> bool:
        return any(smooth.axis == -1 for smooth in smoothable(self._builder.source(self.first).graph))

    def _smoothed(self, best: ComparedRecipe, errors: float) -> ComparedRecipe:
        """Return the recipe smoothed where that is nearer by so many standard errors."""
        if SMOOTHING not in self._settings.corrections or SMOOTHING in best.recipe.corrections:
            return best
        factors = self._builder.smoothing(self.first) if self._has_time(f"{SMOOTHING}:{best.recipe.id}") else None
        if factors is None:
            return best
        smoothed = with_smoothing(best.recipe, factors)
        found = better(best, smoothed, self._while_time, errors)
        if EQUALIZATION not in smoothed.corrections:
            return found
        # Equalization sets the channels between two Convs by their weights alone, whatever the factors there.
        instead = tuple(name for name in smoothed.corrections if name != EQUALIZATION)
        return better(found, smoothed.but(corrections=instead), self._while_time, errors if found is best else CHANCE)

    def with_tensor_rules(self, best: ComparedRecipe, sensitivity: Sensitivity) -> ComparedRecipe:
        """Return the recipe with separate rules for the most sensitive tensors, where they improve it."""
        order = sorted(sensitivity.tensors, key=lambda name: (-sensitivity.tensors[name], name))
        tensors = [] if self._is_rule_fixed else order[: self._settings.choose_tensors]
        return choose_tensor_rules(best, tensors, self._settings.range_rules, self._while_time)

    def variants(self, recipe: Recipe) -> list[Recipe]:
        """Return other recipes that were compared on calibration images, those nearest to fp32 first."""
        _, best = self._compared[recipe.id]
        known = {best}
        variants = []
        for other, divergences in sorted(self._compared.values(), key=lambda pair: (math.fsum(pair[1]), pair[0].id)):
            if divergences not in known and math.fsum(divergences) <= _AS_NEAR * math.fsum(best):
                known.add(divergences)
                variants.append(other)
        return variants[: self._settings.variants]

    @property
    def _is_rule_fixed(self) -> bool:
        return len(self._settings.range_rules) == 1

    def _while_time(self, recipe: Recipe, is_hopeless: IsHopeless | None = None, /) -> tuple[float, ...]:
        """Return divergences while there is time to choose; later none, as of what is hopeless from the start."""
        if recipe.id in self._measured or self._has_time(recipe.id):
            return self.divergences(recipe, is_hopeless)
        self.left_out.append(recipe)
        return ()

    def divergences(self, recipe: Recipe, is_hopeless: IsHopeless | None = None, /) -> tuple[float, ...]:
        """Return the KL from fp32 of calibration images, in nats, and remember that the recipe was compared.

        Args:
            recipe: The recipe.
            is_hopeless: Says whether the rest of the images need not be scored.
        """
        divergences = tuple(self._measure(recipe, is_hopeless))
        self._measured.add(recipe.id)
        whole = self._images = max(self._images, len(divergences))
        words = self._described(recipe)
        if len(divergences) < whole:
            words += f" (given up after {len(divergences)} of {whole} images)"
        elif recipe.id not in self._compared:
            self._compared[recipe.id] = (recipe, divergences)
        mean = words, math.fsum(divergences) / len(divergences)
        if mean not in self.fidelity:
            self.fidelity.append(mean)
        return divergences

    def _described(self, recipe: Recipe) -> str:
        own = [f"{tensor}: {rule}" for tensor, rule in recipe.range_rules]
        kept = sorted({*recipe.float_nodes} - {*self.first.float_nodes})
        return ", ".join([recipe.range_rule, *recipe.corrections, *own, *(f"{node}: fp32" for node in kept)])
