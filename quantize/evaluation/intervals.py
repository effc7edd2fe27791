"""Confidence intervals for one model's own accuracy."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import stats


class Interval(BaseModel):
    """A two-sided confidence interval of a rate, a difference or a relative change, as fractions.

    Attributes:
        low: Lower bound.
        high: Upper bound.
        confidence: How often such an interval holds the true value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    confidence: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> Interval:
        if not self.low <= self.high:
            raise ValueError(f"an interval from {self.low} to {self.high}")
        return self

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

    return Interval(low=bounds(math.floor(count))[0], high=bounds(math.ceil(count))[1], confidence=confidence)
