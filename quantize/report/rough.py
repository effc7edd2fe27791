"""What is rough of a quick run's report."""

from __future__ import annotations

from quantize.report.section import Section


class RoughSection(Section):
    """What a quick run rests on.

    Attributes:
        images: Images that were there.
        drawn: Images of the sample that the run took; as many as there were where these are few.
        evaluated: Images of the sample that models were evaluated on.
        calibrated: Images of the sample that ranges were taken from.
        timed_runs: Timed runs asked of each model.
        trials: Candidates that were evaluated.
    """

    images: int
    drawn: int
    evaluated: int
    calibrated: int
    timed_runs: int
    trials: int

    @property
    def text(self) -> str:
        """Return what the run rests on, and what gives a full answer, in two sentences."""
        sampled = (
            f"a sample of {self.drawn:,} of the {self.images:,} images" if self.drawn < self.images else "all images"
        )
        trials = "1 trial" if self.trials == 1 else f"{self.trials} trials"
        return (
            f"A rough answer (--quick), from {sampled}: {self.evaluated:,} evaluated, {self.calibrated:,} for "
            f"calibration, {trials}, {self.timed_runs:,} timed runs of each model. "
            "The same command without --quick gives a full one."
        )
