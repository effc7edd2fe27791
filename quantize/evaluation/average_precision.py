"""Mean average precision: how well the scores of each label rank the images that have it first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantize.evaluation.label_outcomes import Bools, LabelOutcomes
from quantize.evaluation.outcomes import Floats, Scores

Weights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The images in the order of one label's scores, in groups of equal scores, the highest first.

    Attributes:
        order: int64 (N,), positions of the images.
        ends: int64 (groups,), where each group ends: the number of images up to and with it.
        positive: bool (N,), whether each image has the label, in that order.
    """

    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    positive: Bools

    @classmethod
    def of(cls, scores: Scores, labels: Bools) -> Ranking:
        """Return the ranking by scores (N,) of images with labels (N,)."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, len(ranked))
        return cls(order, ends, labels[order])

    def precision(self, weights: Weights) -> Floats:
        """Return float64 (R,), the average precision of each row of weights (R, N); NaN where no image has the label.

        The sum over groups of (recall there - recall before) * precision there: the area under the steps of the curve,
        not interpolated (Everingham et al. 2010; scikit-learn's ``average_precision_score``). Equal scores are one
        group, so the images' order cannot show. An image of weight 2 counts as two.
        """
        ranked = weights[:, self.order]
        seen = np.cumsum(ranked, axis=1)[:, self.ends - 1]
        found = np.cumsum(ranked * self.positive, axis=1)[:, self.ends - 1]
        total = found[:, -1]
        gained = np.diff(found, axis=1, prepend=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(gained > 0, gained * found / seen, 0.0)
            return np.asarray(np.where(total > 0, steps.sum(axis=1) / total, np.nan))


def rankings(outcomes: LabelOutcomes) -> tuple[Ranking, ...]:
    """Return the ranking of each label that an image has.

    Raises:
        DataError: There are no labels.
    """
    labels = outcomes.require_labels()
    return tuple(Ranking.of(outcomes.scores[:, c], labels[:, c]) for c in np.flatnonzero(labels.any(axis=0)))


def mean_precision(ranked: tuple[Ranking, ...], weights: Weights) -> Floats:
    """Return float64 (R,), the mean over the labels that occur of their average precision; 0 where none occurs."""
    if not ranked:
        return np.zeros(len(weights))
    each = np.stack([ranking.precision(weights) for ranking in ranked])
    occurs = ~np.isnan(each)
    return np.asarray(np.where(occurs, each, 0.0).sum(axis=0) / np.maximum(occurs.sum(axis=0), 1))


def mean_average_precision(outcomes: LabelOutcomes) -> float:
    """Return the mean average precision: of the labels that at least one image has, each counting the same.

    Raises:
        DataError: There are no labels.
    """
    return float(mean_precision(rankings(outcomes), np.ones((1, len(outcomes))))[0])


_SHUFFLES = 200
_SEED = 0
_LEVEL = 0.95
_KNOWN_SHARE = 0.05


def is_near_chance(outcomes: LabelOutcomes) -> bool:
    """Return whether the mean average precision is hardly above that of scores that know nothing of the images.

    The bar is what 95 of 100 rankings stay below that give each image another one's scores, and of what then lacks to
    1 another 5 %: wrong preprocessing does not bring a model down to guessing.

    Raises:
        DataError: There are no labels.
    """
    labels, generator = outcomes.require_labels(), np.random.default_rng(_SEED)
    ones = np.ones((1, len(outcomes)))
    guessed = []
    for _ in range(_SHUFFLES):
        order = generator.permutation(len(outcomes))
        shuffled = LabelOutcomes(outcomes.ids, labels, outcomes.scores[order], outcomes.threshold)
        guessed.append(float(mean_precision(rankings(shuffled), ones)[0]))
    chance = float(np.quantile(guessed, _LEVEL))
    return mean_average_precision(outcomes) <= chance + _KNOWN_SHARE * (1 - chance)
