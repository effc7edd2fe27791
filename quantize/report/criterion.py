"""The requested accuracy and speed, and whether they were reached."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from quantize.criterion import Criterion, Outcome, SpeedCriterion
from quantize.report.section import Section
from quantize.target import CpuClass

SpeedStatus = Literal["met", "not met", "inconclusive", "not asked", "not measured for the target"]


class FileSpeed(Section):
    """One file's speed-up over fp32, one run at a time on the threads of its measurement.

    Attributes:
        role: ``int8`` (QLinear) or ``qdq``.
        ratio: fp32's time over the file's.
        low: Lower end of its 95 % interval; None: there were too few rounds for one.
        high: Upper end.
        outcome: Whether it is enough; None if nothing was asked or the target is another class of CPUs.
        slower: Whether it is slower than fp32 here by more than the noise of the measurement.
    """

    role: Literal["int8", "qdq"]
    ratio: float
    low: float | None
    high: float | None
    outcome: Outcome | None
    slower: bool


class SpeedVerdict(Section):
    """The verdict on the speed of both files.

    Attributes:
        status: On both together.
        min_speedup: The requested speed-up.
        noise_floor: Largest relative difference of fp32 from itself, a fraction; None if it was not measured.
        measured_on: Class of the CPU that measured.
        target: Class of CPUs that the files are for.
        files: Each file.
    """

    status: SpeedStatus
    min_speedup: float
    noise_floor: float | None
    measured_on: CpuClass
    target: CpuClass
    files: tuple[FileSpeed, ...]

    @property
    def outcome(self) -> Outcome | None:
        """Return the verdict, or None if nothing was judged."""
        if self.status == "not asked" or self.status == "not measured for the target":
            return None
        return self.status

    @property
    def for_target(self) -> bool:
        """Return whether the figures are of a CPU that the files are for."""
        return self.measured_on == self.target

    @property
    def within_noise(self) -> tuple[FileSpeed, ...]:
        """Return the files that are enough only because what they lack is no more than the noise."""
        below = (file for file in self.files if (file.ratio if file.high is None else file.high) < self.min_speedup)
        return tuple(file for file in below if file.outcome == "met")

    @property
    def slower(self) -> tuple[FileSpeed, ...]:
        """Return the files that are slower than fp32 on CPUs that they are for."""
        return tuple(file for file in self.files if file.slower) if self.for_target else ()


Status = Literal["met", "not met", "inconclusive", "not asked"]

_MET = "a candidate met the criterion"


class CriterionSection(Section):
    """The requested accuracy and speed.

    Attributes:
        metric: ``top1`` (expected; of a model of one score, the share of right answers), ``map`` (mean average
            precision of labels), ``agreement`` with fp32 (without labels), or ``none``.
        relative: Tolerated drop as a fraction of the baseline's accuracy.
        absolute: Tolerated drop as a fraction of 1.
        minimum: Least agreement.
        confidence: The requested confidence; None: the point estimate decides.
        floor: The lowest value of the metric that passes, a fraction.
        min_speedup: Least speed-up over fp32; None in earlier reports: none was asked for.
    """

    metric: Literal["top1", "map", "agreement", "none"]
    relative: float | None
    absolute: float | None
    minimum: float | None
    confidence: float | None
    floor: float | None
    min_speedup: float | None = None

    @staticmethod
    def of(criterion: Criterion, speed: SpeedCriterion) -> CriterionSection:
        """Return what was requested of a run, as its report shows it."""
        fields = {name: value for name, value in asdict(criterion).items() if name != "baseline"}
        return CriterionSection(**fields, floor=criterion.floor(), min_speedup=speed.min_speedup)


class VerdictSection(Section):
    """The outcome in one word, and why.

    Attributes:
        status: The verdict on the chosen model, both formats and both criteria taken together.
        text: What a person reads first: what was not met, whether it is slower than fp32, then the rest.
        reasons: What made it so, one sentence each.
        stopped_because: Why tuning ended, as the engine tells it.
        tolerance_images: How many of the deciding images the tolerance is worth; None if nothing is tolerated by
            number, or a confidence was requested.
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
        """Return the status, and whether the models are slower than fp32: the headline for narrow places."""
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
