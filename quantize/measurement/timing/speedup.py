"""The speed-up of one model over another, with its uncertainty."""

from __future__ import annotations

import math
import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy import stats

from quantize.measurement.timing.plan import MINIMUM_ROUNDS

_RESAMPLES = 4000


def median_interval(
    values: npt.NDArray[np.float64], *, confidence: float = 0.95, seed: int = 0, resamples: int = _RESAMPLES
) -> tuple[float, float] | None:
    """Return the expanded percentile bootstrap interval of the median.

    A percentile interval needs no estimate of spread and cannot leave the range of the data, so outliers move it no
    further than the median itself. The plain one is too narrow for few values (it covers 87 to 94 % where it says
    95 %, below 16 values); Hesterberg's expansion (What Teachers Should Know About the Bootstrap, The American
    Statistician 69, 2015, section 5.3) widens its quantiles by Student's t, and covers.

    Args:
        values: One value an independent unit: a round, never a single run (runs in a block are not independent).
        confidence: Two-sided.
        seed: Of the resamples.
        resamples: Their number.

    Returns:
        Lower and upper bound, or None with fewer than six values.
    """
    if len(values) < MINIMUM_ROUNDS:
        return None
    generator = np.random.default_rng(seed)
    medians = np.median(generator.choice(values, size=(resamples, len(values))), axis=1)
    tail = expanded_tail((1 - confidence) / 2, len(values))
    low, high = np.quantile(medians, [tail, 1 - tail])
    return float(low), float(high)


def expanded_tail(tail: float, count: int) -> float:
    """Return the share of resamples to cut off on each side of an expanded percentile interval.

    Args:
        tail: Share that the interval should leave out there, 0.025 for 95 %.
        count: Number of values that were resampled.
    """
    widened = math.sqrt(count / (count - 1)) * stats.t.isf(tail, count - 1)
    return float(stats.norm.sf(widened))


# scipy's exact distribution of the signed-rank statistic is quadratic in the number of pairs.
_EXACT_UP_TO = 50


class Speedup(BaseModel):
    """How many times faster a candidate is than its baseline.

    Attributes:
        baseline: Name of the model whose time is the numerator.
        candidate: Name of the model whose time is the denominator.
        ratio: Baseline time / candidate time: exp of the median of the paired log ratios.
        low: Lower bound of the bootstrap interval of the ratio; None with too few rounds.
        high: Upper bound; None with too few rounds.
        confidence: Of the interval.
        rounds: Paired values behind it.
        p_value: Two-sided Wilcoxon signed-rank test of "no difference"; None with too few rounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline: str
    candidate: str
    ratio: float
    low: float | None
    high: float | None
    confidence: float
    rounds: int
    p_value: float | None

    @property
    def relative_width(self) -> float | None:
        """Return the interval's width as a fraction of the ratio, or None without an interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / self.ratio


def speedup(
    log_ratios: npt.NDArray[np.float64], *, baseline: str, candidate: str, confidence: float = 0.95, seed: int = 0
) -> Speedup | None:
    """Return the speed-up that paired log ratios show, or None if there are none.

    Args:
        log_ratios: Logarithm of baseline time over candidate time, one a round.
        baseline: Its name.
        candidate: Its name.
        confidence: Of the interval, two-sided.
        seed: Of the bootstrap.
    """
    if len(log_ratios) == 0:
        return None
    interval = median_interval(log_ratios, confidence=confidence, seed=seed)
    return Speedup(
        baseline=baseline,
        candidate=candidate,
        ratio=math.exp(float(np.median(log_ratios))),
        low=None if interval is None else math.exp(interval[0]),
        high=None if interval is None else math.exp(interval[1]),
        confidence=confidence,
        rounds=len(log_ratios),
        p_value=None if interval is None else signed_rank_p_value(log_ratios),
    )


def signed_rank_p_value(differences: npt.NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test that differences are symmetric about zero.

    Args:
        differences: At least one; if all are zero, 1.0 is returned.
    """
    rest = differences[differences != 0]
    if len(rest) == 0:
        return 1.0
    distinct = len(np.unique(np.abs(rest))) == len(rest)
    exact = distinct and len(rest) == len(differences) and len(rest) <= _EXACT_UP_TO
    with warnings.catch_warnings():
        # scipy warns that the normal approximation is rough below ten pairs: it still orders them rightly.
        warnings.simplefilter("ignore", UserWarning)
        return float(stats.wilcoxon(differences, zero_method="zsplit", method="exact" if exact else "approx").pvalue)


Difference = Literal["faster", "slower", "none", "not shown"]


def noise_floor(control: Speedup | None) -> float | None:
    """Return the largest relative difference that this machine shows between a model and itself.

    Args:
        control: The A/A control's speed-up over the baseline, which is the same model.

    Returns:
        A fraction: how far the control's interval reaches from 1 on the farther side; None without an interval.
    """
    if control is None or control.low is None or control.high is None:
        return None
    return max(abs(math.expm1(math.log(control.high))), abs(math.expm1(-math.log(control.low))))


def difference(measured: Speedup, floor: float | None) -> Difference:
    """Return whether a speed-up shows a difference at all.

    Returns:
        ``not shown`` without an interval (too few rounds); ``none`` if the interval holds 1 or the difference is
        below the noise floor; else ``faster`` or ``slower``.
    """
    if measured.low is None or measured.high is None:
        return "not shown"
    beyond = math.exp(abs(math.log(measured.ratio))) - 1
    if measured.low <= 1 <= measured.high or (floor is not None and beyond <= floor):
        return "none"
    return "faster" if measured.ratio > 1 else "slower"
