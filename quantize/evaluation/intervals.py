"""Confidence intervals of a rate, and how many images a verdict would need."""

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
        interval = stats.binomtest(whole, n).proportion_ci(confidence_level=confidence, method="wilson")
        return float(interval.low), float(interval.high)

    return Interval(low=bounds(math.floor(count))[0], high=bounds(math.ceil(count))[1], confidence=confidence)


_NO_MARGIN = 1e-6  # of all images; less than that takes more images than there are photographs
POWER = 0.8  # the chance of getting the verdict that the truth deserves, where no other is stated


def images_needed(
    *, margin: float, discordant: float, drop: float, confidence: float, power: float = POWER
) -> int | None:
    """Return the number of paired images at which a one-sided verdict comes out with ``power``.

    n = (z_confidence + z_power)² * variance / margin², the variance of one image's loss or gain being
    discordant - drop² (Connor 1987, Biometrics 43:207-211). Even odds are power 0.5.

    Args:
        margin: Distance of the true drop from the tolerance, as a fraction of all images; its sign does not matter.
        discordant: Share of images that exactly one of the models gets right.
        drop: The true drop, as a fraction of all images.
        confidence: One-sided.
        power: Chance of the verdict.

    Returns:
        None if the margin is below a millionth: no number of images decides a drop at the tolerance.

    Raises:
        ValueError: The drop is larger than the discordant share.
    """
    if not abs(drop) <= discordant <= 1:
        raise ValueError(f"a drop of {drop} with {discordant} discordant")
    if abs(margin) < _NO_MARGIN:
        return None
    quantiles = float(stats.norm.isf(1 - confidence) + stats.norm.isf(1 - power))
    return max(1, math.ceil(quantiles**2 * (discordant - drop**2) / margin**2))


def images_needed_for_rate(*, rate: float, threshold: float, confidence: float, power: float = POWER) -> int | None:
    """Return the number of images that tell a true ``rate`` from ``threshold``, one-sided.

    Returns:
        None if they are the same to a millionth.
    """
    if abs(rate - threshold) < _NO_MARGIN:
        return None
    z, z_power = float(stats.norm.isf(1 - confidence)), float(stats.norm.isf(1 - power))
    deviation = z * math.sqrt(threshold * (1 - threshold)) + z_power * math.sqrt(rate * (1 - rate))
    return max(1, math.ceil((deviation / (rate - threshold)) ** 2))
