"""Range rules and corrections: each is tried, and kept only where it brings the scores nearer to fp32's.

What is compared is the KL divergence from fp32 of every image, on calibration images that the candidate's statistics
did not see. The same images are scored before and after, so the mean difference is held against its standard error:
what is within chance is not an improvement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.recipe import Recipe

Measure = Callable[[Recipe], Sequence[float]]
"""Returns the KL divergence of every image, in nats, of the candidate that a recipe gives."""

CORRECTION = 0.0
"""Standard errors that a correction has to improve by: theory says that it does, so the mean decides."""
FEW_CHOICES = 1.0
"""Standard errors where a few alternatives are tried."""
MANY_CHOICES = 2.0
"""Standard errors where many are tried, of which some look better by chance."""


@dataclass(frozen=True)
class Chosen:
    """A recipe and how near its candidate's scores are.

    Attributes:
        recipe: With the rules and corrections that were kept.
        divergences: Of every image, in nats.
    """

    recipe: Recipe
    divergences: tuple[float, ...]


def improves(before: Sequence[float], after: Sequence[float], errors: float) -> bool:
    """Return whether the mean fell by more than so many standard errors of the paired differences."""
    gains = np.asarray(before) - np.asarray(after)
    mean = float(gains.mean())
    if len(gains) < 2:
        return mean > 0
    return mean > errors * float(gains.std(ddof=1)) / math.sqrt(len(gains)) and mean > 0


def start(recipe: Recipe, measure: Measure) -> Chosen:
    """Return a recipe as the one to beat."""
    return Chosen(recipe, tuple(measure(recipe)))


def choose_rule(best: Chosen, rules: Sequence[str], measure: Measure) -> Chosen:
    """Return the recipe with the range rule that measures best."""
    for rule in rules:
        if rule != best.recipe.range_rule:
            best = _better(best, best.recipe.but(range_rule=rule), measure, FEW_CHOICES)
    return best


def choose_corrections(best: Chosen, corrections: Sequence[str], order: Sequence[str], measure: Measure) -> Chosen:
    """Return the recipe with those corrections that each improved it when it was added.

    Args:
        best: Where to begin.
        corrections: What to try, in this order.
        order: The order in which a recipe lists corrections.
        measure: Returns a recipe's divergences.
    """
    for correction in corrections:
        names = {*best.recipe.corrections, correction}
        candidate = best.recipe.but(corrections=tuple(name for name in order if name in names))
        best = _better(best, candidate, measure, CORRECTION)
    return best


def choose_tensor_rules(best: Chosen, tensors: Sequence[str], rules: Sequence[str], measure: Measure) -> Chosen:
    """Return the recipe with a range rule of its own for those of ``tensors`` where one improved it."""
    for tensor in tensors:
        for rule in rules:
            own = dict(best.recipe.range_rules)
            if rule != own.get(tensor, best.recipe.range_rule):
                rules_now = tuple(sorted((own | {tensor: rule}).items()))
                best = _better(best, best.recipe.but(range_rules=rules_now), measure, MANY_CHOICES)
    return best


def _better(best: Chosen, candidate: Recipe, measure: Measure, errors: float) -> Chosen:
    divergences = tuple(measure(candidate))
    return Chosen(candidate, divergences) if improves(best.divergences, divergences, errors) else best
