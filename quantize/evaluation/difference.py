"""Tango's score interval for the difference of two paired proportions: the accuracy drop in points."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from quantize.evaluation.intervals import Interval
from quantize.evaluation.score_inversion import CONTINUITY, Floats, corrected, solve_falling, standardized


def paired_difference(lost: int, gained: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the two-sided interval of the drop, baseline minus candidate, as a fraction of n.

    Args:
        lost: Images that the baseline gets right and the candidate wrong.
        gained: Images that the candidate gets right and the baseline wrong.
        n: All images.
        confidence: Two-sided; each bound alone holds with (1 + confidence) / 2.

    Raises:
        ValueError: Counts that are no counts of n images.
    """
    if n <= 0 or min(lost, gained) < 0 or lost + gained > n:
        raise ValueError(f"{lost} lost and {gained} gained in {n}")
    low, high = difference_bounds([lost], [gained], n, float(stats.norm.isf((1 - confidence) / 2)))
    return Interval(low=float(low[0]), high=float(high[0]), confidence=confidence)


def difference_bounds(
    lost: ArrayLike, gained: ArrayLike, n: int, z: float, *, continuity: float = CONTINUITY
) -> tuple[Floats, Floats]:
    """Return float64 arrays (lower, upper): the drops at which the score statistic is ``z`` and ``-z``.

    Tango (1998), Statistics in Medicine 17:891-908, with a continuity correction, in images (0: as published).
    """
    b, c = np.asarray(lost, np.float64), np.asarray(gained, np.float64)

    def statistic(drop: Floats) -> Floats:
        return difference_statistic(b, c, n, drop, continuity=continuity)

    estimate = (b - c) / n
    low = solve_falling(statistic, z, np.full_like(b, -1.0), estimate)
    high = solve_falling(statistic, -z, estimate, np.full_like(b, 1.0))
    return low, high


def difference_statistic(b: Floats, c: Floats, n: int, drop: Floats, *, continuity: float = CONTINUITY) -> Floats:
    """Return the score statistic of "the true drop is ``drop``", positive where more images were lost than that.

    The variance of b - c is n (2 q + drop (1 - drop)), q the maximum likelihood estimate of the probability of a
    gained image under the hypothesis: the larger root of 2n q² + B q + C = 0 with the B and C below.
    """
    quadratic_b = (2 * n - b + c) * drop - b - c
    quadratic_c = -c * drop * (1 - drop)
    root = np.sqrt(np.maximum(quadratic_b**2 - 8 * n * quadratic_c, 0.0))
    q = (root - quadratic_b) / (4 * n)
    variance = n * (2 * q + drop * (1 - drop))
    return standardized(corrected(b - c - n * drop, continuity), variance)
