"""Whether the written files are fast enough."""

from __future__ import annotations

from typing import Literal

from quantize.criterion import Outcome
from quantize.report.section import Section
from quantize.target import CpuClass

SpeedStatus = Literal["met", "not met", "inconclusive", "not asked", "not measured for the target"]


class FileSpeed(Section):
    """One file's speed-up over fp32, one run at a time on the configured threads.

    Attributes:
        role: ``int8`` (QLinear) or ``qdq``.
        ratio: fp32's time over the file's.
        low: Lower end of its 95 % interval; None: there were too few rounds for one.
        high: Upper end.
        outcome: Whether it is enough; None where nothing was asked or the target is another class of CPUs.
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
        min_speedup: What was asked for.
        noise_floor: Largest relative difference of fp32 from itself, a fraction; None where it was not measured.
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
        """Return the verdict; None where there is none."""
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
        below = (one for one in self.files if (one.ratio if one.high is None else one.high) < self.min_speedup)
        return tuple(one for one in below if one.outcome == "met")

    @property
    def slower(self) -> tuple[FileSpeed, ...]:
        """Return the files that are slower than fp32 on CPUs that they are for."""
        return tuple(one for one in self.files if one.slower) if self.for_target else ()
