"""The written files against fp32 on all cores, where the run's own figures are of fewer threads."""

from __future__ import annotations

from quantize.measurement.timing.blocks import paired_log_ratios
from quantize.measurement.timing.measurement import Measurement
from quantize.measurement.timing.speedup import difference, speedup
from quantize.report.criterion import FileSpeed
from quantize.report.section import Section


class AllCoresSection(Section):
    """Both files against fp32 with a thread on each physical core that the process may use.

    Attributes:
        cores: That many threads.
        noise_floor: Largest relative difference of fp32 from itself, a fraction; None if it was not measured.
        files: Each file's speed-up there.
        measurement: What that follows from: shorter than the run's own.
    """

    cores: int
    noise_floor: float | None
    files: tuple[FileSpeed, ...]
    measurement: Measurement

    @property
    def slower(self) -> tuple[FileSpeed, ...]:
        """Return the files that are slower than fp32 with certainty: an interval below 1 by more than the noise."""
        return tuple(file for file in self.files if file.slower)

    @property
    def faster(self) -> tuple[FileSpeed, ...]:
        """Return the files that are faster than fp32 with certainty."""
        least = 1 + (self.noise_floor or 0.0)
        return tuple(file for file in self.files if file.low is not None and file.low > least)

    @property
    def faster_format(self) -> FileSpeed | None:
        """Return the file that is faster than the other one with certainty; None: neither is."""
        if len(self.files) != 2:
            return None
        first, second = self.files
        plan = self.measurement.plan
        gain = speedup(
            paired_log_ratios(self.measurement.blocks, first.role, second.role),
            baseline=first.role,
            candidate=second.role,
            confidence=plan.confidence,
            seed=plan.seed,
        )
        found = "not shown" if gain is None else difference(gain, self.noise_floor)
        return {"faster": second, "slower": first}.get(found)
