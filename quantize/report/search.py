"""How the native engine searched: what it predicted, measured and left."""

from __future__ import annotations

import statistics
from typing import Literal

from quantize.report.section import Section
from quantize.report.stages import StageSection


class CandidateSection(Section):
    """One candidate of a native search.

    Attributes:
        trial: Index of its trial; None for one that was timed only: neither faster, nor as fast and nearer to fp32.
        recipe_id: What it was built from.
        step: Where it came from: ``ladder``, ``variant``, ``neighbour`` or ``stored``.
        predicted_ns: Its predicted time for one run; None where there was no prediction.
        measured_ns: Its measured time, in alternation with fp32 or the fastest candidate; None where it was not
            measured.
        speedup: fp32's time over its own; None where it was not measured.
        images: Images that were looked at before its verdict was certain: fewer than all where the race was over.
        met: Whether it meets the criterion; None where that was not asked.
        pareto: No other candidate is at least as good in both the metric and the speed-up.
    """

    trial: int | None
    recipe_id: str
    step: Literal["ladder", "variant", "neighbour", "stored"]
    predicted_ns: float | None
    measured_ns: float | None
    speedup: float | None
    images: int
    met: bool | None
    pareto: bool

    @property
    def prediction_error(self) -> float | None:
        """Return predicted over measured time, minus 1; None where one of them is missing."""
        if self.predicted_ns is None or self.measured_ns is None:
            return None
        return self.predicted_ns / self.measured_ns - 1.0


class ComparedSection(Section):
    """A recipe that was compared on calibration images.

    Attributes:
        recipe: Its range rules and corrections, in words.
        mean_kl: Mean KL(fp32 || candidate) in nats, on images that its statistics did not see.
    """

    recipe: str
    mean_kl: float


class SearchSection(Section):
    """A native search.

    Attributes:
        stopped: Why it ended.
        images: Evaluation images; a race ends before them where the verdict is certain.
        candidates: All that were evaluated or timed, in order.
        compared: Recipes that were compared on calibration images, in order.
        stages: Seconds of each of its stages.
    """

    stopped: str
    images: int
    candidates: tuple[CandidateSection, ...]
    compared: tuple[ComparedSection, ...]
    stages: tuple[StageSection, ...]

    @property
    def prediction_errors(self) -> tuple[float, ...]:
        """Return how far off the predicted times were, as fractions of the measured ones without their sign."""
        errors = (one.prediction_error for one in self.candidates)
        return tuple(abs(error) for error in errors if error is not None)

    @property
    def median_error(self) -> float | None:
        """Return the median of the prediction errors, a fraction; None where there is none."""
        return statistics.median(self.prediction_errors) if self.prediction_errors else None
