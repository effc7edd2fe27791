"""Compare the mean average precision of two models on the same images, by a paired bootstrap."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from quantize.evaluation.average_precision import Ranking, mean_precision, rankings
from quantize.evaluation.evaluation import Evaluation, aligned
from quantize.evaluation.intervals import POWER, Interval
from quantize.evaluation.label_flips import outcomes_of_labels
from quantize.evaluation.label_outcomes import LabelOutcomes
from quantize.evaluation.outcomes import Floats

_MOST, _LEAST = 2_000, 200
_VALUES = 1_000_000_000  # weights that are looked up in all, which take some ten seconds
_AT_ONCE = 10_000_000
# Half an image that is lost and half a gained one are drawn with the others, as in ``bootstrap``: without them two
# models that rank a few hundred images alike would give an interval of no width. On average an image is worth 1 / n.
_PSEUDO_COUNT = 0.5
_NO_MARGIN = 1e-9


class PrecisionComparison(BaseModel):
    """Mean average precision of a candidate and of the baseline; a drop is baseline minus candidate.

    Attributes:
        n: Images.
        labels: Labels that at least one image has, over which the mean is.
        baseline_expected: The baseline's, a fraction.
        candidate_expected: The candidate's, a fraction.
        drop: Their difference.
        relative_drop: ``drop`` / ``baseline_expected``; None if that is 0.
        drop_interval: Percentile interval of ``drop`` by a bootstrap over images, both models on the same ones.
        relative_drop_interval: The same of ``relative_drop``.
        deviation: Standard deviation of the bootstrap's drops.
        relative_deviation: The same of the relative ones.
        confidence: Of the intervals, two-sided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n: int = Field(ge=1)
    labels: int = Field(ge=0)
    baseline_expected: float
    candidate_expected: float
    drop: float
    relative_drop: float | None
    drop_interval: Interval
    relative_drop_interval: Interval | None
    deviation: float
    relative_deviation: float | None
    confidence: float

    def bounds(self, confidence: float, *, relative: bool) -> Interval | None:
        """Return a two-sided interval of the (relative) drop at any confidence, by the normal distribution.

        That of the bootstrap's own confidence is the percentile one.
        """
        own = self.relative_drop_interval if relative else self.drop_interval
        estimate = self.relative_drop if relative else self.drop
        deviation = self.relative_deviation if relative else self.deviation
        if own is None or estimate is None or deviation is None or math.isclose(confidence, self.confidence):
            return own
        reach = float(stats.norm.isf((1 - confidence) / 2)) * deviation
        return Interval(low=estimate - reach, high=estimate + reach, confidence=confidence)

    def images_needed(self, bound: float, confidence: float, *, relative: bool, power: float = POWER) -> int | None:
        """Return how many images would tell the drop from ``bound``, one-sided; None where no number would."""
        estimate = self.relative_drop if relative else self.drop
        deviation = self.relative_deviation if relative else self.deviation
        if estimate is None or deviation is None or abs(bound - estimate) < _NO_MARGIN:
            return None
        quantiles = float(stats.norm.isf(1 - confidence) + stats.norm.isf(1 - power))
        return max(self.n + 1, math.ceil(self.n * (quantiles * deviation / (bound - estimate)) ** 2))


def compare_precision(
    baseline: Evaluation,
    candidate: Evaluation,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    replicates: int | None = None,
) -> PrecisionComparison:
    """Return the paired comparison of two evaluations on the same labelled images, in any order.

    Args:
        baseline: The fp32 model's.
        candidate: The other model's.
        confidence: Of the intervals, two-sided.
        seed: Of the bootstrap.
        replicates: Samples of the bootstrap; None: up to 2,000, fewer for many images and labels.

    Raises:
        DataError: The images or labels differ, or there are no labels.
    """
    candidate = aligned(baseline, candidate)
    both = [rankings(outcomes_of_labels(evaluation)) for evaluation in (baseline, candidate)]
    n, labels = baseline.n, len(both[0])
    ones = np.ones((1, n))
    before, after = (float(mean_precision(ranked, ones)[0]) for ranked in both)
    count = replicates or int(np.clip(_VALUES / max(2 * n * labels, 1), _LEAST, _MOST))
    first, second = _replicates(both, n, count, seed)
    drops = first - second + _pseudo_losses(n, count, seed)
    ratios = drops / first if before > 0 and (first > 0).all() else None
    return PrecisionComparison(
        n=n,
        labels=labels,
        baseline_expected=before,
        candidate_expected=after,
        drop=before - after,
        relative_drop=1 - after / before if before > 0 else None,
        drop_interval=_percentiles(drops, confidence),
        relative_drop_interval=None if ratios is None else _percentiles(ratios, confidence),
        deviation=float(drops.std()),
        relative_deviation=None if ratios is None else float(ratios.std()),
        confidence=confidence,
    )


def precision_interval(outcomes: LabelOutcomes, confidence: float, seed: int = 0) -> Interval:
    """Return the bootstrap's percentile interval of one model's mean average precision."""
    ranked, n = rankings(outcomes), len(outcomes)
    count = int(np.clip(_VALUES / max(2 * n * len(ranked), 1), _LEAST, _MOST))
    (values,) = _replicates([ranked], n, count, seed)
    return _percentiles(np.clip(values - _pseudo_losses(n, count, seed), 0.0, 1.0), confidence)


def _pseudo_losses(n: int, count: int, seed: int) -> Floats:
    """Return float64 (count,), what half an image lost and half a gained one, as often as drawn, take off."""
    lost, gained = np.random.default_rng([seed, n]).poisson(_PSEUDO_COUNT, (2, count))
    return np.asarray((lost - gained) / n)


def _replicates(models: list[tuple[Ranking, ...]], n: int, count: int, seed: int) -> list[Floats]:
    """Return each model's mean average precision on the same ``count`` samples of n images with replacement."""
    generator, even = np.random.default_rng(seed), np.full(n, 1 / n)
    parts: list[list[Floats]] = [[] for _ in models]
    at_once = max(1, _AT_ONCE // n)
    for start in range(0, count, at_once):
        weights = generator.multinomial(n, even, size=min(at_once, count - start)).astype(np.float64)
        for values, ranked in zip(parts, models, strict=True):
            values.append(mean_precision(ranked, weights))
    return [np.concatenate(values) for values in parts]


def _percentiles(values: Floats, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), confidence=confidence)
