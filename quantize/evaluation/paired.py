"""Compare two models on the same images: only images that exactly one of them gets right tell them apart."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from quantize.evaluation.bootstrap import OutcomeCells, bootstrap_drop, bootstrap_relative_drop
from quantize.evaluation.evaluation import Evaluation, aligned
from quantize.evaluation.intervals import Interval
from quantize.evaluation.score_intervals import paired_difference, relative_drop_interval
from quantize.evaluation.topk import certain, chances


def mcnemar_exact(lost: int, gained: int) -> float:
    """Return the two-sided exact p-value (McNemar 1947; binomial with one half, by scipy).

    Args:
        lost: Images that the baseline gets right and the candidate wrong.
        gained: Images that the candidate gets right and the baseline wrong.
    """
    discordant = lost + gained
    return float(stats.binomtest(lost, discordant, 0.5).pvalue) if discordant else 1.0


def mcnemar_exact_drop(lost: int, gained: int) -> float:
    """Return the one-sided exact p-value of "the candidate is not worse"."""
    discordant = lost + gained
    return float(stats.binomtest(lost, discordant, 0.5, alternative="greater").pvalue) if discordant else 1.0


class PairedComparison(BaseModel):
    """Top-k answers of a candidate and of the baseline; a drop is baseline minus candidate, positive is worse.

    The counts and what is computed from them take a tie at the decision as wrong. The headline (``drop``,
    ``relative_drop``) is the expectation if ties fall at random.

    Attributes:
        k: How many answers count.
        n: Images.
        both: Images that both get right.
        lost: Images that only the baseline gets right.
        gained: Images that only the candidate gets right.
        neither: Images that neither gets right.
        undecided: Images on which a tie leaves the answer open in one model or both.
        baseline_expected: The baseline's accuracy in expectation, a fraction of n.
        candidate_expected: The candidate's accuracy in expectation, a fraction of n.
        drop: Their difference, a fraction of n.
        relative_drop: ``drop`` / ``baseline_expected``; None if the baseline gets nothing right.
        drop_bootstrap: Paired bootstrap interval of ``drop``.
        relative_drop_bootstrap: Paired bootstrap interval of ``relative_drop``; None with too few right answers.
        drop_interval: Tango's score interval of (lost - gained) / n.
        relative_drop_interval: Nam and Blackwelder's score interval of (lost - gained) / (both + lost).
        p_value: Exact McNemar test, two-sided.
        confidence: Of all intervals here, two-sided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    k: int = Field(ge=1)
    n: int = Field(ge=1)
    both: int = Field(ge=0)
    lost: int = Field(ge=0)
    gained: int = Field(ge=0)
    neither: int = Field(ge=0)
    undecided: int = Field(ge=0)
    baseline_expected: float
    candidate_expected: float
    drop: float
    relative_drop: float | None
    drop_bootstrap: Interval
    relative_drop_bootstrap: Interval | None
    drop_interval: Interval
    relative_drop_interval: Interval | None
    p_value: float
    confidence: float

    @property
    def discordant(self) -> int:
        """Return the number of images that exactly one of the models gets right."""
        return self.lost + self.gained

    @property
    def certain_drop(self) -> float:
        """Return the drop with ties as wrong, a fraction of n: the estimate that ``drop_interval`` is around."""
        return (self.lost - self.gained) / self.n


def compare(
    baseline: Evaluation, candidate: Evaluation, *, confidence: float = 0.95, k: int = 1, seed: int = 0
) -> PairedComparison:
    """Return the paired comparison of two evaluations on the same labelled images, in any order.

    Args:
        baseline: The fp32 model's.
        candidate: The other model's.
        confidence: Of every interval, two-sided.
        k: How many answers count.
        seed: Of the bootstrap.

    Raises:
        DataError: The images or labels differ, or there are no labels.
    """
    candidate = aligned(baseline, candidate)
    before, after = chances(baseline.by_class, k), chances(candidate.by_class, k)
    right_before, right_after = certain(baseline.by_class, k), certain(candidate.by_class, k)
    n = baseline.n
    both = int((right_before & right_after).sum())
    lost = int((right_before & ~right_after).sum())
    gained = int((~right_before & right_after).sum())
    expected_before, expected_after = math.fsum(before), math.fsum(after)
    cells = OutcomeCells.of(before, after)
    return PairedComparison(
        k=k,
        n=n,
        both=both,
        lost=lost,
        gained=gained,
        neither=n - both - lost - gained,
        undecided=int((((before > 0) & (before < 1)) | ((after > 0) & (after < 1))).sum()),
        baseline_expected=expected_before / n,
        candidate_expected=expected_after / n,
        drop=(expected_before - expected_after) / n,
        relative_drop=(expected_before - expected_after) / expected_before if expected_before > 0 else None,
        drop_bootstrap=bootstrap_drop(cells, confidence=confidence, seed=seed),
        relative_drop_bootstrap=bootstrap_relative_drop(cells, confidence=confidence, seed=seed),
        drop_interval=paired_difference(lost, gained, n, confidence),
        relative_drop_interval=relative_drop_interval(both, lost, gained, n, confidence),
        p_value=mcnemar_exact(lost, gained),
        confidence=confidence,
    )
