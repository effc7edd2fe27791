"""Range rules and corrections: each is tried, and kept only where it brings the scores nearer to fp32's.

What is compared is the square root of the KL divergence from fp32 of every image, on calibration images that the
candidate's statistics did not see. KL grows with the square of the scores' error, and a few images near a decision make
most of its mean; its root grows with the error itself, so that all images tell. The same images are scored before and
after, so the mean difference is held against its standard error: what is within chance is not an improvement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.recipe import Recipe

Measure = Callable[[Recipe], Sequence[float]]
"""Returns the KL divergence of every image, in nats, of the candidate that a recipe gives."""

THEORY = 0.0
"""Standard errors that a correction has to improve by where theory says that it does: the mean decides."""
FEW_CHOICES = 0.5
"""Standard errors where one of a few rules has to be taken, and none has a claim before the others."""
CHANCE = 1.0
"""Standard errors where a correction makes good one error and may make another."""
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
    """Return whether the mean root fell by more than so many standard errors of the paired differences."""
    gains = _roots(before) - _roots(after)
    mean = float(gains.mean())
    if len(gains) < 2:
        return mean > 0
    return mean > errors * float(gains.std(ddof=1)) / math.sqrt(len(gains)) and mean > 0


def mean_root(divergences: Sequence[float]) -> float:
    """Return the mean of the divergences' roots, which grows with the scores' error."""
    return float(_roots(divergences).mean())


def _roots(divergences: Sequence[float]) -> npt.NDArray[np.float64]:
    # Rounding may leave a divergence of nothing a little below it.
    roots: npt.NDArray[np.float64] = np.sqrt(np.maximum(divergences, 0.0))
    return roots


def start(recipe: Recipe, measure: Measure) -> Chosen:
    """Return a recipe as the one to beat."""
    return Chosen(recipe, tuple(measure(recipe)))


def choose_rule(best: Chosen, rules: Sequence[str], measure: Measure) -> Chosen:
    """Return the recipe with the range rule that measures best."""
    for rule in rules:
        if rule != best.recipe.range_rule:
            best = _better(best, best.recipe.but(range_rule=rule), measure, FEW_CHOICES)
    return best


def choose_corrections(
    best: Chosen,
    corrections: Sequence[str],
    order: Sequence[str],
    measure: Measure,
    *,
    expected: Collection[str] = (),
) -> Chosen:
    """Return the recipe with those corrections that each improved it when it was added.

    Args:
        best: Where to begin.
        corrections: What to try, in this order.
        order: The order in which a recipe lists corrections.
        measure: Returns a recipe's divergences.
        expected: Corrections that improve a model by theory: for them the mean decides.
    """
    for correction in corrections:
        names = {*best.recipe.corrections, correction}
        candidate = best.recipe.but(corrections=tuple(name for name in order if name in names))
        best = _better(best, candidate, measure, THEORY if correction in expected else CHANCE)
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
