"""Range rules and corrections: each is tried, and kept only if it brings the scores closer to fp32's.

What is compared is the square root of the KL divergence from fp32 of every image, on calibration images that the
candidate's statistics did not see. KL grows with the square of the scores' error, and a few images near a decision make
most of its mean; its root grows with the error itself, so that all images tell. The same images are scored before and
after, so the mean difference is held against its standard error: what is within chance is not an improvement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from quantize.recipe import Recipe

IsHopeless = Callable[[Sequence[float]], bool]
"""Says, from the divergences of the first images, that those of the others cannot matter."""


class Measure(Protocol):
    """Measures how far from fp32 the candidate of a recipe is."""

    def __call__(self, recipe: Recipe, is_hopeless: IsHopeless | None = None, /) -> Sequence[float]:
        """Return the KL divergence of every image, in nats; of the first images alone where they are hopeless."""
        ...


THEORY = 0.0
"""Standard errors that a correction has to improve by where theory says that it does: the mean decides."""
FEW_CHOICES = 0.5
"""Standard errors where one of a few rules has to be taken, and none has a claim before the others."""
CHANCE = 1.0
"""Standard errors where a correction makes good one error and may make another."""
MANY_CHOICES = 2.0
"""Standard errors where many are tried, of which some look better by chance."""
_HOPELESS = 2.0
"""Standard errors that the first images may miss what all have to improve by: more is not made up for by the others."""
_FEW = 8
"""Images that are too few to give a recipe up by."""
_WORTH = 0.9
"""A candidate that may be slower has to have at most this much of the other's divergence from fp32."""


@dataclass(frozen=True)
class ComparedRecipe:
    """A recipe and how near its candidate's scores are.

    Attributes:
        recipe: With the rules and corrections that were kept.
        divergences: Of every image, in nats.
    """

    recipe: Recipe
    divergences: tuple[float, ...]


def improves(before: Sequence[float], after: Sequence[float], errors: float) -> bool:
    """Return whether the mean root fell by more than so many standard errors of the paired differences."""
    mean, error = _gain(before, after)
    return mean > 0 and mean > errors * error


def _gain(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """Return by how much the mean root fell, and the standard error of that; 0 of a single image."""
    gains = _roots(before) - _roots(after)
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return float(gains.mean()), error


def _mean_root(divergences: Sequence[float]) -> float:
    """Return the mean of the divergences' roots, which grows with the scores' error."""
    return float(_roots(divergences).mean())


def _roots(divergences: Sequence[float]) -> npt.NDArray[np.float64]:
    # Rounding may leave a divergence of nothing a little below it.
    roots: npt.NDArray[np.float64] = np.sqrt(np.maximum(divergences, 0.0))
    return roots


class Comparisons:
    """Comparisons of finished recipes, each made once."""

    def __init__(self, measure: Measure) -> None:
        """Set up with the measure of a recipe's distance from fp32."""
        self._measure = measure
        self._nearer: dict[tuple[str, str], bool] = {}

    def is_nearer(self, recipe: Recipe, other: Recipe, *, compare: bool = True) -> bool:
        """Return whether a recipe's candidate is closer to fp32 than another one's, by more than chance and by 10 %.

        Args:
            recipe: The one that may be nearer.
            other: The one to beat.
            compare: False says no where they were not compared before: the budget may be spent.
        """
        pair = recipe.id, other.id
        if pair not in self._nearer and compare:
            far = self._measure(other)
            near = self._measure(recipe, _hopeless_beside(far, CHANCE))
            is_worth_it = len(near) == len(far) and _mean_root(near) <= _WORTH * _mean_root(far)
            self._nearer[pair] = is_worth_it and improves(far, near, CHANCE)
        return self._nearer.get(pair, False)


def start(recipe: Recipe, measure: Measure) -> ComparedRecipe:
    """Return a recipe as the one to beat."""
    return ComparedRecipe(recipe, tuple(measure(recipe)))


def choose_rule(best: ComparedRecipe, rules: Sequence[str], measure: Measure) -> ComparedRecipe:
    """Return the recipe with the range rule that measures best."""
    for rule in rules:
        if rule != best.recipe.range_rule:
            best = better(best, best.recipe.but(range_rule=rule), measure, FEW_CHOICES)
    return best


def choose_corrections(
    best: ComparedRecipe,
    corrections: Sequence[str],
    order: Sequence[str],
    measure: Measure,
    *,
    expected: Collection[str] = (),
    together: Collection[str] = (),
) -> ComparedRecipe:
    """Return the recipe with those corrections that each improved it when it was added.

    Args:
        best: Where to begin.
        corrections: What to try, in this order.
        order: The order in which a recipe lists corrections.
        measure: Returns a recipe's divergences.
        expected: Corrections that improve a model by theory: for them the mean decides.
        together: Expected corrections that are made for one another: they are added at once, in place of the first of
            them, and one by one only where that is no improvement.
    """
    left = list(corrections)
    while left:
        correction = left.pop(0)
        if correction in together and {*together} <= {correction, *left}:
            both = better(best, _with(best.recipe, together, order), measure, THEORY)
            if both is not best:
                best, left = both, [name for name in left if name not in together]
                continue
        errors = THEORY if correction in expected else CHANCE
        best = better(best, _with(best.recipe, (correction,), order), measure, errors)
    return best


def _with(recipe: Recipe, corrections: Collection[str], order: Sequence[str]) -> Recipe:
    names = {*recipe.corrections, *corrections}
    return recipe.but(corrections=tuple(name for name in order if name in names))


def choose_tensor_rules(
    best: ComparedRecipe, tensors: Sequence[str], rules: Sequence[str], measure: Measure
) -> ComparedRecipe:
    """Return the recipe with separate range rules for those of ``tensors`` that gain from one."""
    for tensor in tensors:
        for rule in rules:
            own = dict(best.recipe.range_rules)
            if rule != own.get(tensor, best.recipe.range_rule):
                rules_now = tuple(sorted((own | {tensor: rule}).items()))
                best = better(best, best.recipe.but(range_rules=rules_now), measure, MANY_CHOICES)
    return best


def better(best: ComparedRecipe, candidate: Recipe, measure: Measure, errors: float) -> ComparedRecipe:
    """Return a candidate if it improves on the best recipe by more than so many standard errors, else the latter."""
    divergences = tuple(measure(candidate, _hopeless_beside(best.divergences, errors)))
    if len(divergences) < len(best.divergences):
        return best
    return ComparedRecipe(candidate, divergences) if improves(best.divergences, divergences, errors) else best


def _hopeless_beside(divergences: Sequence[float], errors: float) -> IsHopeless:
    """Return what says that the first images miss those of others by more than the rest can make up for."""

    def is_hopeless(first: Sequence[float]) -> bool:
        mean, error = _gain(divergences[: len(first)], first)
        return len(first) >= _FEW and mean < (errors - _HOPELESS) * error

    return is_hopeless
