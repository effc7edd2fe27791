"""Score intervals of two paired proportions: of their difference (Tango) and of their ratio (Nam and Blackwelder).

The bounds are the parameters at which a score statistic is ±z, solved for many data sets at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from quantize.evaluation.intervals import Interval

Floats = NDArray[np.float64]

# A count moves in whole images. Half an image is the full continuity correction (Yates 1934) and over-covers; a
# quarter keeps two-sided 95 % coverage above 94.6 %, and a one-sided certificate's error below 5 %, on the whole
# grid of benchmarks/coverage.py (n 400 to 10,000, 2 to 10 % discordant). Without it 400 images with 2 % discordant
# fall to 93.6 %.
CONTINUITY = 0.25

_HALVINGS = 60  # of an interval of length 2 at most: down to the last bit of a double


def corrected(images: Floats, correction: Floats | float) -> Floats:
    """Return a statistic's numerator, in images, drawn towards 0 by the continuity correction."""
    shrunk: Floats = np.sign(images) * np.maximum(np.abs(images) - correction, 0.0)
    return shrunk


def standardized(numerator: Floats, variance: Floats) -> Floats:
    """Return numerator / sqrt(variance); without variance infinite, or 0 where the numerator is 0 too."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = numerator / np.sqrt(variance)
    value: Floats = np.where(variance > 0, ratio, np.where(numerator == 0, 0.0, np.copysign(np.inf, numerator)))
    return value


def solve_falling(statistic: Callable[[Floats], Floats], target: float, low: Floats, high: Floats) -> Floats:
    """Return where ``statistic``, which falls from ``low`` to ``high``, passes ``target``, by bisection."""
    low, high = low.copy(), high.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = statistic(middle) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    solution: Floats = (low + high) / 2
    return solution


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


def relative_drop_interval(both: int, lost: int, gained: int, n: int, confidence: float = 0.95) -> Interval | None:
    """Return the two-sided interval of the relative drop, 1 - candidate / baseline.

    Args:
        both: Images that both models get right.
        lost: Images that the baseline gets right and the candidate wrong.
        gained: Images that the candidate gets right and the baseline wrong.
        n: All images.
        confidence: Two-sided; each bound alone holds with (1 + confidence) / 2.

    Returns:
        None if the baseline gets no image right: nothing can be relative to that.

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
