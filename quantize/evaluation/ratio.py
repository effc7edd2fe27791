"""The score interval of Nam and Blackwelder for the ratio of two paired proportions: the relative accuracy drop."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from quantize.evaluation.intervals import Interval
from quantize.evaluation.score_inversion import CONTINUITY, Floats, corrected, solve_falling, standardized


def relative_drop_interval(both: int, lost: int, gained: int, n: int, confidence: float = 0.95) -> Interval | None:
    """Return the two-sided interval of the relative drop, 1 - candidate / baseline.

    Args:
        both: Images that both models get right.
        lost: Images that the baseline gets right and the candidate wrong.
        gained: Images that the candidate gets right and the baseline wrong.
        n: All images.
        confidence: Two-sided; each bound alone holds with (1 + confidence) / 2.

    Returns:
        None where the baseline gets no image right: nothing can be relative to that.

    Raises:
        ValueError: Counts that are no counts of n images.
    """
    if n <= 0 or min(both, lost, gained) < 0 or both + lost + gained > n:
        raise ValueError(f"{both} right in both, {lost} lost and {gained} gained in {n}")
    if both + lost == 0:
        return None
    low, high = ratio_bounds([both], [lost], [gained], n, float(stats.norm.isf((1 - confidence) / 2)))
    return Interval(low=1 - float(high[0]), high=1 - float(low[0]), confidence=confidence)


def ratio_bounds(
    both: ArrayLike, lost: ArrayLike, gained: ArrayLike, n: int, z: float, *, continuity: float = CONTINUITY
) -> tuple[Floats, Floats]:
    """Return float64 arrays (lower, upper) of candidate / baseline at which the score statistic is ``z`` and ``-z``.

    Nam and Blackwelder (2002), Statistics in Medicine 21:689-699, with a continuity correction, in images
    (0: as published). Every baseline has at least one right image. A candidate with none has the lower bound 0.
    """
    a, b, c = (np.asarray(count, np.float64) for count in (both, lost, gained))

    # bisect over ratio / (1 + ratio), which maps 0 … infinity to 0 … 1
    def statistic(share: Floats) -> Floats:
        return ratio_statistic(a, b, c, n, share / (1 - share), continuity=continuity)

    candidate, baseline = a + c, a + b
    estimate = candidate / (candidate + baseline)
    low = solve_falling(statistic, z, np.zeros_like(a), estimate)
    high = solve_falling(statistic, -z, estimate, np.ones_like(a))
    return np.where(candidate == 0, 0.0, low / (1 - low)), high / (1 - high)


def ratio_statistic(
    a: Floats, b: Floats, c: Floats, n: int, ratio: Floats, *, continuity: float = CONTINUITY
) -> Floats:
    """Return the score statistic of "the true ratio is ``ratio``", positive where the candidate does better.

    Candidate - ratio * baseline, in images, has the variance n ratio (gain + loss), the maximum likelihood
    estimates under the hypothesis of the probabilities of a gained and of a lost image. The correction is scaled so
    that swapping the models turns the ratio round and changes nothing else.
    """
    candidate, baseline, gained, lost = (a + c) / n, (a + b) / n, c / n, b / n
    root = np.sqrt((candidate - ratio**2 * baseline) ** 2 + 4 * ratio**2 * gained * lost)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (ratio**2 * (baseline + 2 * gained) - candidate + root) / (2 * ratio * (ratio + 1))
    right_in_either = (a + b + c) / n
    loss = ratio * gain - (ratio - 1) * right_in_either
    variance = n * ratio * np.maximum(gain + loss, 0.0)
    return standardized(corrected(a + c - ratio * (a + b), continuity * (1 + ratio) / 2), variance)
