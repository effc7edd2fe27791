"""Is the candidate accurate enough? By the point estimate, or with a confidence."""

from __future__ import annotations

import math
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from quantize.criterion import Criterion, Measure, Outcome
from quantize.errors import DataError, ExitCode
from quantize.evaluation.fidelity import Fidelity
from quantize.evaluation.intervals import Interval, images_needed, images_needed_for_rate, wilson
from quantize.evaluation.paired import PairedComparison
from quantize.evaluation.paired_precision import PrecisionComparison
from quantize.evaluation.score_intervals import paired_difference, relative_drop_interval

_EXIT_CODES: dict[Outcome, ExitCode] = {
    "met": ExitCode.DONE,
    "not met": ExitCode.NOT_MET,
    "inconclusive": ExitCode.INCONCLUSIVE,
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Tolerance(_Frozen):
    """What a candidate may lose, or must keep: a criterion's bound as reports show it.

    Attributes:
        measure: ``relative``: largest drop / baseline accuracy. ``points``: largest drop as a fraction of the images.
            ``agreement``: smallest share of images with fp32's answer.
        value: A fraction.
    """

    measure: Measure
    value: float

    @staticmethod
    def of(criterion: Criterion) -> Tolerance:
        """Return the bound of a criterion."""
        return Tolerance(measure=criterion.measure, value=criterion.bound)


class Verdict(_Frozen):
    """The answer and what it rests on.

    Attributes:
        outcome: ``met``, ``not met``, or ``inconclusive``: the images do not settle it at this confidence.
        tolerance: What was asked.
        estimate: The measured drop (or agreement), a fraction.
        confidence: One-sided; None if the point estimate decided.
        low: Lower one-sided bound of the true value; None if the point estimate decided.
        high: Upper one-sided bound.
        images_needed: How many images would settle it at 80 % power if the estimates are the truth; None if it
            is settled, and where the estimate lies so near the tolerance that no number would.
    """

    outcome: Outcome
    tolerance: Tolerance
    estimate: float
    confidence: float | None = None
    low: float | None = None
    high: float | None = None
    images_needed: int | None = None

    @property
    def exit_code(self) -> ExitCode:
        """Return what a command's exit status should be if this verdict decides."""
        return _EXIT_CODES[self.outcome]


class Judgement(_Frozen):
    """The verdict that decides, and the one at 95 % that is always stated with it.

    Attributes:
        deciding: By the point estimate, or at the requested confidence.
        at_95: At 95 % one-sided.
    """

    deciding: Verdict
    at_95: Verdict


Measured = PairedComparison | PrecisionComparison | Fidelity
ALWAYS_STATED = 0.95  # the verdict that a report prints whatever confidence was asked for


def judge(measured: Measured, criterion: Criterion) -> Judgement:
    """Return the deciding verdict (without a confidence, the point estimate decides) and the one at 95 %."""
    return Judgement(
        deciding=verdict(measured, criterion), at_95=verdict(measured, replace(criterion, confidence=ALWAYS_STATED))
    )


def verdict(measured: Measured, criterion: Criterion) -> Verdict:
    """Return whether a criterion is met.

    Without a confidence the point estimate decides, in expectation over ties, as in Neural Compressor. With one it is
    a non-inferiority test and its mirror image, each one-sided: ``met`` where the true drop lies below the tolerance
    with that confidence, ``not met`` where it lies above with that confidence, else ``inconclusive``. The bounds
    take ties as wrong.

    Args:
        measured: A paired comparison for a drop (of labels, of mean average precision), fidelity for agreement.
        criterion: What is asked; a drop is taken from the baseline in ``measured``, on the same images. A confidence
            is one-sided and above 0.5.

    Raises:
        DataError: A relative drop from nothing: the baseline gets no image right.
        ValueError: A measure that ``measured`` does not hold, or a confidence of 0.5 or less.
    """
    if isinstance(measured, Fidelity):
        if criterion.measure != "agreement":
            raise ValueError(f"a {criterion.measure} tolerance needs a paired comparison")
        return _agreement(measured, criterion)
    if criterion.measure == "agreement":
        raise ValueError("agreement needs fidelity")
    return _drop(measured, replace(criterion, baseline=measured.baseline_expected))


def _drop(measured: PairedComparison | PrecisionComparison, criterion: Criterion) -> Verdict:
    relative = criterion.measure == "relative"
    estimate = measured.relative_drop if relative else measured.drop
    if estimate is None:
        raise _nothing_right()
    if criterion.confidence is None:
        return _by_estimate(criterion, measured.baseline_expected - measured.drop, estimate)
    both_sides = _two_sided(criterion.confidence)
    if isinstance(measured, PrecisionComparison):
        interval = measured.bounds(both_sides, relative=relative)
        needed = measured.images_needed(criterion.bound, criterion.confidence, relative=relative)
    else:
        interval = (
            relative_drop_interval(measured.both, measured.lost, measured.gained, measured.n, both_sides)
            if relative
            else paired_difference(measured.lost, measured.gained, measured.n, both_sides)
        )
        needed = _images_for_drop(measured, criterion, criterion.confidence)
    if interval is None:
        raise _nothing_right()
    met, missed = interval.high < criterion.bound, interval.low > criterion.bound
    return _confident(criterion, estimate, interval, needed, met=met, missed=missed)


def _agreement(measured: Fidelity, criterion: Criterion) -> Verdict:
    if criterion.confidence is None:
        return _by_estimate(criterion, measured.agreement, measured.agreement)
    n = len(measured)
    interval = wilson(math.floor(math.fsum(measured.certain_agreements)), n, _two_sided(criterion.confidence))
    needed = images_needed_for_rate(
        rate=measured.pessimistic_agreement, threshold=criterion.bound, confidence=criterion.confidence
    )
    needed = None if needed is None else max(needed, n + 1)
    met, missed = interval.low > criterion.bound, interval.high < criterion.bound
    return _confident(criterion, measured.agreement, interval, needed, met=met, missed=missed)


def _by_estimate(criterion: Criterion, value: float, estimate: float) -> Verdict:
    outcome: Outcome = "met" if criterion.met(value) else "not met"
    return Verdict(outcome=outcome, tolerance=Tolerance.of(criterion), estimate=estimate)


def _confident(
    criterion: Criterion, estimate: float, interval: Interval, needed: int | None, *, met: bool, missed: bool
) -> Verdict:
    return Verdict(
        outcome="met" if met else "not met" if missed else "inconclusive",
        tolerance=Tolerance.of(criterion),
        estimate=estimate,
        confidence=criterion.confidence,
        low=interval.low,
        high=interval.high,
        images_needed=None if met or missed else needed,
    )


def _images_for_drop(measured: PairedComparison, criterion: Criterion, confidence: float) -> int | None:
    allowed = criterion.bound
    if criterion.measure == "relative":
        allowed *= (measured.both + measured.lost) / measured.n
    needed = images_needed(
        margin=allowed - measured.certain_drop,
        discordant=max(measured.discordant, 1) / measured.n,  # none in so few images does not mean none at all
        drop=measured.certain_drop,
        confidence=confidence,
    )
    return None if needed is None else max(needed, measured.n + 1)


def _two_sided(confidence: float) -> float:
    """Return the two-sided confidence of an interval whose bounds each hold with ``confidence``."""
    if not 0.5 < confidence < 1:
        raise ValueError(f"a one-sided confidence of {confidence} decides nothing")
    return 2 * confidence - 1


def _nothing_right() -> DataError:
    return DataError(
        "no relative drop can be told: the fp32 model gets no image right",
        expected="a baseline above chance",
        advice="check the preprocessing and the labels, or use an absolute tolerance",
    )
