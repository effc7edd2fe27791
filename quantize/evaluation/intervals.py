"""Confidence intervals for one model's own accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval of a rate, a difference or a ratio."""

    low: float
    high: float
    confidence: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"an interval from {self.low} to {self.high}")

    def __contains__(self, value: float) -> bool:
        """Return whether ``value`` lies inside, bounds included."""
        return self.low <= value <= self.high


def wilson(count: float, n: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a rate (Wilson 1927), by scipy.

    A count that ties leave between two whole numbers (a sum of chances) takes the lower bound of the number below
    and the upper bound of the one above: never narrower than the true one.

    Raises:
        ValueError: No image, or a count that is not in 0 … n.
    """
    if n <= 0 or not 0 <= count <= n:
        raise ValueError(f"a count of {count} in {n}")

    def bounds(whole: int) -> tuple[float, float]:
        found = stats.binomtest(whole, n).proportion_ci(confidence_level=confidence, method="wilson")
        return float(found.low), float(found.high)

    return Interval(bounds(math.floor(count))[0], bounds(math.ceil(count))[1], confidence)
