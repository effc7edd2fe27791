"""Is the candidate accurate enough? By the point estimate, or with a confidence."""

from __future__ import annotations

from dataclasses import replace

from quantize.criterion import Criterion, Outcome
from quantize.errors import DataError
from quantize.evaluation.difference import paired_difference
from quantize.evaluation.fidelity import Fidelity
from quantize.evaluation.intervals import Interval, wilson
from quantize.evaluation.paired import PairedComparison
from quantize.evaluation.ratio import relative_drop_interval
from quantize.evaluation.sample_size import images_needed, images_needed_for_rate
from quantize.evaluation.verdict import Judgement, Tolerance, Verdict

ALWAYS_STATED = 0.95  # the verdict that a report prints whatever confidence was asked for


def judge(measured: PairedComparison | Fidelity, criterion: Criterion) -> Judgement:
    """Return the deciding verdict (without a confidence, the point estimate decides) and the one at 95 %."""
    return Judgement(
        deciding=verdict(measured, criterion), at_95=verdict(measured, replace(criterion, confidence=ALWAYS_STATED))
    )


def verdict(measured: PairedComparison | Fidelity, criterion: Criterion) -> Verdict:
    """Return whether a criterion is met.

    Without a confidence the point estimate decides, in expectation over ties, as in Neural Compressor. With one it is
    a non-inferiority test and its mirror image, each one-sided: ``met`` where the true drop lies below the tolerance
    with that confidence, ``not met`` where it lies above with that confidence, else ``inconclusive``. The bounds
    take ties as wrong.

    Args:
        measured: A paired comparison for a drop, fidelity for agreement.
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


def _drop(measured: PairedComparison, criterion: Criterion) -> Verdict:
    relative = criterion.measure == "relative"
    estimate = measured.relative_drop if relative else measured.drop
    if estimate is None:
        raise _nothing_right()
    if criterion.confidence is None:
        return _by_estimate(criterion, measured.baseline_expected - measured.drop, estimate)
    both_sides = _two_sided(criterion.confidence)
    interval = (
        relative_drop_interval(measured.both, measured.lost, measured.gained, measured.n, both_sides)
        if relative
        else paired_difference(measured.lost, measured.gained, measured.n, both_sides)
    )
    if interval is None:
        raise _nothing_right()
    settled: Outcome | None = (
        "met" if interval.high < criterion.bound else "not met" if interval.low > criterion.bound else None
    )
    return _confident(
        criterion, estimate, interval, settled, _images_for_drop(measured, criterion, criterion.confidence)
    )


def _agreement(measured: Fidelity, criterion: Criterion) -> Verdict:
    if criterion.confidence is None:
        return _by_estimate(criterion, measured.agreement, measured.agreement)
    n = len(measured)
    interval = wilson(int(measured.certain_agreements.sum()), n, _two_sided(criterion.confidence))
    settled: Outcome | None = (
        "met" if interval.low > criterion.bound else "not met" if interval.high < criterion.bound else None
    )
    needed = images_needed_for_rate(
        rate=measured.pessimistic_agreement, threshold=criterion.bound, confidence=criterion.confidence
    )
    needed = None if needed is None else max(needed, n + 1)
    return _confident(criterion, measured.agreement, interval, settled, needed)


def _by_estimate(criterion: Criterion, value: float, estimate: float) -> Verdict:
    outcome: Outcome = "met" if criterion.met(value) else "not met"
    return Verdict(outcome=outcome, tolerance=Tolerance.of(criterion), estimate=estimate)


def _confident(
    criterion: Criterion, estimate: float, interval: Interval, settled: Outcome | None, needed: int | None
) -> Verdict:
    return Verdict(
        outcome=settled or "inconclusive",
        tolerance=Tolerance.of(criterion),
        estimate=estimate,
        confidence=criterion.confidence,
        low=interval.low,
        high=interval.high,
        images_needed=None if settled else needed,
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
