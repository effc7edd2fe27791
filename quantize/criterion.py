"""What a quantized model must reach in accuracy and speed: the rules shared by search, verdict and check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Metric = Literal["top1", "top5", "map", "agreement", "none"]
Measure = Literal["relative", "points", "agreement"]
Outcome = Literal["met", "not met", "inconclusive"]

ROUNDING = 1e-9
"""How far a value may miss a limit by rounding: 1 - 99/100 must not miss 0.01 by its last bit.

Far above what float64 loses in such sums (1e-15), and far below the smallest step of a measured rate: one of 50,000
images, shared by a thousand tied classes, is 2e-8.
"""


def reaches(value: float, least: float) -> bool:
    """Return whether a value is at least ``least``, but for rounding."""
    return value >= least - ROUNDING


def stays_within(value: float, most: float) -> bool:
    """Return whether a value is at most ``most``, but for rounding."""
    return value <= most + ROUNDING


@dataclass(frozen=True)
class Criterion:
    """The requested accuracy: one bound, or none with the metric ``none``.

    Attributes:
        metric: ``top1`` or ``top5`` (expected accuracy), ``map`` (mean average precision of labels), ``agreement``
            (share of images with the fp32 model's answer), or ``none`` for graphs whose scores mean nothing: every
            candidate is accepted and none is evaluated.
        baseline: The fp32 model's value of the metric, a fraction; needed by ``relative`` and ``absolute``.
        relative: Tolerated drop as a fraction of the baseline.
        absolute: Tolerated drop as a fraction of 1 (0.01 is one point).
        minimum: Lowest accepted agreement, a fraction of 1.
        confidence: One-sided certainty of the verdict; None: the point estimate decides, as it always does in a search.
    """

    metric: Metric
    baseline: float | None = None
    relative: float | None = None
    absolute: float | None = None
    minimum: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse a criterion that does not say what is good enough.

        Raises:
            ValueError: No bound or several, one that is not of the metric, or a drop without a baseline.
        """
        bounds = [value for value in (self.relative, self.absolute, self.minimum) if value is not None]
        if len(bounds) != (self.metric != "none"):
            raise ValueError(f"{len(bounds)} bounds for the metric {self.metric}")
        if (self.minimum is not None) != (self.metric == "agreement"):
            raise ValueError(f"a minimum is for agreement, a drop for accuracy, not for {self.metric}")
        if self.baseline is None and (self.relative is not None or self.absolute is not None):
            raise ValueError("a relative or absolute drop needs the baseline that it is taken from")

    @property
    def measure(self) -> Measure:
        """Return what the bound is on; not for the metric ``none``."""
        return "agreement" if self.minimum is not None else "relative" if self.relative is not None else "points"

    @property
    def bound(self) -> float:
        """Return the largest drop, or the least agreement: a fraction; not for the metric ``none``."""
        (bound,) = (value for value in (self.relative, self.absolute, self.minimum) if value is not None)
        return bound

    def floor(self) -> float | None:
        """Return the lowest value of the metric that passes, or None if nothing is measured."""
        if self.baseline is not None and self.relative is not None:
            return self.baseline * (1 - self.relative)
        if self.baseline is not None and self.absolute is not None:
            return self.baseline - self.absolute
        return self.minimum

    def met(self, value: float | None) -> bool:
        """Return whether a candidate is good enough by the point estimate.

        Args:
            value: The candidate's metric, a fraction; None only where nothing is measured.
        """
        floor = self.floor()
        return floor is None or (value is not None and reaches(value, floor))


class SpeedRatio(Protocol):
    """A measured speed-up with its 95 % interval."""

    @property
    def ratio(self) -> float:
        """fp32's time over the model's."""
        ...

    @property
    def low(self) -> float | None:
        """Lower end of the interval; None: there were too few rounds for one."""
        ...

    @property
    def high(self) -> float | None:
        """Upper end."""
        ...


@dataclass(frozen=True)
class SpeedCriterion:
    """The requested speed-up.

    Attributes:
        min_speedup: fp32's time over the model's, at least; 0 asks for none.
        confidence: The requested confidence; None: a model is fast enough unless it is shown not to be.
    """

    min_speedup: float = 1.0
    confidence: float | None = None

    def outcome(self, speedup: SpeedRatio, noise_floor: float | None = None) -> Outcome:
        """Return whether a measured speed-up is enough.

        It is not enough if even the upper end of its interval is below the minimum by more than the noise floor. If a
        confidence is requested, it is enough only if the lower end reaches the minimum; anything else is inconclusive.

        Args:
            speedup: The measurement.
            noise_floor: Largest relative difference that fp32 shows from itself, a fraction; None: not measured.
        """
        # The noise floor is a ratio minus 1, up or down: at 100 %, only less than half of the minimum is too slow.
        least = self.min_speedup / (1.0 + (noise_floor or 0.0))
        if (speedup.ratio if speedup.high is None else speedup.high) < least:
            return "not met"
        if self.confidence is None or (speedup.low is not None and speedup.low >= self.min_speedup):
            return "met"
        return "inconclusive"

    def shown(self, speedup: SpeedRatio, noise_floor: float | None = None) -> Outcome:
        """Return the outcome for a verdict: a ratio of too few rounds for an interval shows no model too slow."""
        outcome = self.outcome(speedup, noise_floor)
        return "inconclusive" if outcome == "not met" and speedup.high is None else outcome


def is_slower(speedup: SpeedRatio, noise_floor: float | None = None) -> bool:
    """Return whether a model is slower than fp32, by the same rule: more than the noise of the measurement."""
    return SpeedCriterion().outcome(speedup, noise_floor) == "not met"


def is_shown_slower(speedup: SpeedRatio, noise_floor: float | None = None) -> bool:
    """Return whether a verdict says that a model is slower than fp32; too few rounds for an interval show nothing."""
    return SpeedCriterion().shown(speedup, noise_floor) == "not met"


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """Return what several outcomes add up to: ``not met`` if one is, else ``inconclusive`` if one is, else ``met``.

    Raises:
        ValueError: There are no outcomes.
    """
    if not outcomes:
        raise ValueError("no verdict at all")
    order: list[Outcome] = ["not met", "inconclusive", "met"]
    return min(outcomes, key=order.index)
