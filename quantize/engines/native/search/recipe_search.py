"""Which range rules and corrections the candidates have, by what they do to the scores of calibration images."""

from __future__ import annotations

import json
import math
from functools import cached_property

from quantize.engines.native.builder.activation_grids import COMMON_GRIDS, COMMON_SCALES
from quantize.engines.native.builder.builder import CORRECTIONS
from quantize.engines.native.builder.equalization import equalizable
from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from quantize.engines.native.builder.weights import BIAS, EQUALIZATION, ROUNDING, SCORES
from quantize.engines.native.search.evidence import MOMENT_IMAGES
from quantize.engines.native.search.head import head_inputs, head_units
from quantize.engines.native.search.recipe_choice import (
    Chosen,
    choose_corrections,
    choose_rule,
    choose_tensor_rules,
    start,
)
from quantize.engines.native.search.sensitivity import Sensitivity
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.workbench import Workbench
from quantize.recipe import Recipe

_AS_NEAR = 1.3
"""A recipe counts as nearly as near to fp32 as the best if its divergence is at most this many times as large."""
_BY_THEORY = (ROUNDING, BIAS, SCORES)
"""Corrections that lessen an error and make no other."""


class RecipeSearch:
    """Compares recipes on calibration images, and remembers all that it compared.

    Attributes:
        fidelity: (recipe in words, mean KL to fp32) of every recipe that was compared, in order.
    """

    def __init__(self, bench: Workbench, settings: SearchSettings) -> None:
        """Set up.

        Args:
            bench: Does and records the steps.
            settings: What may be tried.
        """
        self._bench, self._settings = bench, settings
        self._compared: dict[str, tuple[Recipe, tuple[float, ...]]] = {}
        self.fidelity: list[tuple[str, float]] = []

    def chosen(self) -> Chosen:
        """Return the recipe with the range rule and the corrections that are nearest to fp32."""
        settings, bench = self._settings, self._bench
        recipe = self._first
        bench.calibrate(recipe)
        chosen = choose_rule(start(recipe, self.divergences), settings.range_rules, self.divergences)
        wanted = [
            name
            for name in settings.corrections
            if name != EQUALIZATION or next(equalizable(bench.source(recipe)), None) is not None
        ]
        return choose_corrections(chosen, wanted, CORRECTIONS, self.divergences, expected=_BY_THEORY)

    def with_tensor_rules(self, best: Chosen, sensitivity: Sensitivity) -> Chosen:
        """Return the recipe with rules of their own for the most sensitive tensors, where they improve it."""
        order = sorted(sensitivity.tensors, key=lambda name: (-sensitivity.tensors[name], name))
        tensors = [] if self._is_rule_fixed else order[: self._settings.choose_tensors]
        return choose_tensor_rules(best, tensors, self._settings.range_rules, self.divergences)

    def variants(self, recipe: Recipe) -> list[Recipe]:
        """Return other recipes that were compared on calibration images, those nearest to fp32 first."""
        best = self._compared[recipe.id]
        known = {best[1]}
        found = []
        for other, divergences in sorted(self._compared.values(), key=lambda pair: (math.fsum(pair[1]), pair[0].id)):
            if divergences not in known and math.fsum(divergences) <= _AS_NEAR * math.fsum(best[1]):
                known.add(divergences)
                found.append(other)
        return found[: self._settings.variants]

    @cached_property
    def _first(self) -> Recipe:
        settings, proto = self._settings, self._bench.proto
        details = {
            **{name: json.loads(value) for name, value in settings.recipe.details},
            FLOAT_OUTPUTS: True,
            MOMENT_IMAGES: settings.moment_images,
            COMMON_GRIDS: COMMON_SCALES in settings.recipe.rewrites,
        }
        own_rules = settings.recipe.range_rules
        if not self._is_rule_fixed:
            # The greatest values of what the head takes are the scores that decide: clipping them is no saving.
            kept = dict.fromkeys(head_inputs(proto, settings.recipe), "minmax")
            own_rules = tuple(sorted({**kept, **dict(own_rules)}.items()))
        return settings.recipe.but(
            details=tuple(sorted((name, json.dumps(value)) for name, value in details.items())),
            float_nodes=tuple(sorted({*settings.recipe.float_nodes, *head_units(proto, settings.recipe)})),
            range_rule=settings.range_rules[0],
            range_rules=own_rules,
        )

    @property
    def _is_rule_fixed(self) -> bool:
        return len(self._settings.range_rules) == 1

    def divergences(self, recipe: Recipe) -> tuple[float, ...]:
        """Return the KL from fp32 of calibration images, in nats, and remember that the recipe was compared."""
        found = self._bench.divergences(recipe)
        if recipe.id not in self._compared:
            self._compared[recipe.id] = (recipe, found)
            self.fidelity.append((self._described(recipe), math.fsum(found) / len(found)))
        return found

    def _described(self, recipe: Recipe) -> str:
        own = [f"{tensor}: {rule}" for tensor, rule in recipe.range_rules]
        kept = sorted({*recipe.float_nodes} - {*self._first.float_nodes})
        return ", ".join([recipe.range_rule, *recipe.corrections, *own, *(f"{node}: fp32" for node in kept)])
