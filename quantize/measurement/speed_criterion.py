"""Whether a model is fast enough: the one rule of search, verdict and check."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from quantize.evaluation.verdict import Outcome
from quantize.measurement.timing.speedup import Speedup


class SpeedCriterion(BaseModel):
    """The speed-up that is asked for.

    Attributes:
        min_speedup: fp32's time over the model's, at least.
        confidence: The certainty that was asked for; None: a model is taken to be fast enough until it is shown not
            to be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_speedup: float
    confidence: float | None = None

    def outcome(self, ratio: float, low: float | None, high: float | None, noise_floor: float | None) -> Outcome:
        """Return whether a measured speed-up is enough.

        It is not where even the upper end of its interval lies below what is asked by more than the noise floor. Where
        certainty is asked for, it is enough only where the lower end reaches it; in between it is inconclusive.

        Args:
            ratio: The speed-up.
            low: Lower end of its 95 % interval; None: there were too few rounds for one.
            high: Upper end.
            noise_floor: Largest relative difference that fp32 shows from itself, a fraction; None: not measured.
        """
        # A noise floor is a factor less 1, as far up as down: one of 100 % tells nothing below half of what is asked.
        least = self.min_speedup / (1.0 + (noise_floor or 0.0))
        if (ratio if high is None else high) < least:
            return "not met"
        if self.confidence is None or (low is not None and low >= self.min_speedup):
            return "met"
        return "inconclusive"

    def outcome_of(self, found: Speedup, noise_floor: float | None) -> Outcome:
        """Return whether a measured speed-up is enough, see ``outcome``."""
        return self.outcome(found.ratio, found.low, found.high, noise_floor)


def is_slower(found: Speedup, noise_floor: float | None) -> bool:
    """Return whether a model is slower than fp32, by the same rule: more than the noise of the measurement."""
    return SpeedCriterion(min_speedup=1.0).outcome_of(found, noise_floor) == "not met"
