"""What was asked for, and whether it was reached."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from quantize.criterion import Criterion, SpeedCriterion
from quantize.report.section import Section
from quantize.report.speed import SpeedVerdict

Status = Literal["met", "not met", "inconclusive", "not asked"]

_MET = "a candidate met the criterion"


class CriterionSection(Section):
    """What accuracy and speed were asked for.

    Attributes:
        metric: ``top1`` (expected), ``agreement`` with fp32's top-1 (without labels), or ``none``.
        relative: Tolerated drop as a fraction of the baseline's top-1.
        absolute: Tolerated drop as a fraction of 1.
        minimum: Least agreement.
        confidence: The certainty that was asked for; None: the point estimate decides.
        floor: The lowest value of the metric that passes, a fraction.
        min_speedup: Least speed-up over fp32; None in earlier reports: none was asked for.
    """

    metric: Literal["top1", "agreement", "none"]
    relative: float | None
    absolute: float | None
    minimum: float | None
    confidence: float | None
    floor: float | None
    min_speedup: float | None = None

    @staticmethod
    def of(criterion: Criterion, speed: SpeedCriterion) -> CriterionSection:
        """Return what a run was asked for, as its report shows it."""
        fields = {name: value for name, value in asdict(criterion).items() if name != "baseline"}
        return CriterionSection(**fields, floor=criterion.floor(), min_speedup=speed.min_speedup)


class VerdictSection(Section):
    """The outcome in one word, and why.

    Attributes:
        status: The verdict on the chosen model, both formats and both criteria taken together.
        text: What a person reads first: what was not met, whether it is slower than fp32, then the rest.
        reasons: What made it so, one sentence each.
        stopped_because: Why tuning ended, as the engine tells it.
        tolerance_images: How many of the deciding images the tolerance is worth; None where nothing is tolerated by
            number, or a certainty was asked for.
        accuracy: The verdict on accuracy alone, the formats' agreement with each other included; None in earlier
            reports: it is the status.
        speed: Whether the files are fast enough; None in earlier reports, and where nothing was timed.
        summary: The text in a few words, in the same order; None in earlier reports.
    """

    status: Status
    text: str
    reasons: tuple[str, ...]
    stopped_because: str
    tolerance_images: float | None = None
    accuracy: Status | None = None
    speed: SpeedVerdict | None = None
    summary: str | None = None

    @property
    def headline(self) -> str:
        """Return the verdict in a few words: what was not met, ``slower than fp32``, then the rest."""
        return self.summary or self.status

    @property
    def brief(self) -> str:
        """Return the status, and whether the models are slower than fp32: the headline where there is little room."""
        slower = self.speed is not None and bool(self.speed.slower)
        return f"{self.status}, slower than fp32" if slower else self.status

    @property
    def ended(self) -> str:
        """Return why tuning ended, in words that are true of the written files too."""
        if self.stopped_because != _MET:
            return self.stopped_because
        if (self.accuracy or self.status) == "not met":
            return "a trial met the accuracy criterion; the files that were written from it do not"
        return "a candidate met the accuracy criterion"
