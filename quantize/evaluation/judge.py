"""Is the candidate accurate enough? By the point estimate, or with a confidence."""

from __future__ import annotations

from quantize.errors import DataError
from quantize.evaluation.difference import paired_difference
from quantize.evaluation.fidelity import Fidelity
from quantize.evaluation.intervals import Interval, wilson
from quantize.evaluation.paired import PairedComparison
from quantize.evaluation.ratio import relative_drop_interval
from quantize.evaluation.sample_size import images_needed, images_needed_for_rate
from quantize.evaluation.verdict import Judgement, Outcome, Tolerance, Verdict

ALWAYS_STATED = 0.95  # the verdict that a report prints whatever confidence was asked for
_ROUNDING = 1e-9  # far below one image in 50,000 (2e-5): 1 - 99/100 must not miss 0.01 by its last bit


def judge(measured: PairedComparison | Fidelity, tolerance: Tolerance, confidence: float | None = None) -> Judgement:
    """Return the deciding verdict (``confidence`` None: the point estimate decides) and the one at 95 %."""
    return Judgement(
        deciding=verdict(measured, tolerance, confidence), at_95=verdict(measured, tolerance, ALWAYS_STATED)
    )


def verdict(measured: PairedComparison | Fidelity, tolerance: Tolerance, confidence: float | None = None) -> Verdict:
    """Return whether ``tolerance`` is met.

    Without a confidence the point estimate decides, in expectation over ties, as in Neural Compressor. With one it is
    a non-inferiority test and its mirror image, each one-sided: ``met`` where the true drop lies below the tolerance
    with that confidence, ``not met`` where it lies above with that confidence, else ``inconclusive``. The bounds
    take ties as wrong.

    Args:
        measured: A paired comparison for ``relative`` and ``points``, fidelity for ``agreement``.
        tolerance: What is asked.
        confidence: One-sided, above 0.5.

    Raises:
        DataError: A relative drop from nothing: the baseline gets no image right.
        ValueError: A measure that ``measured`` does not hold, or a confidence of 0.5 or less.
    """
    if isinstance(measured, Fidelity):
        if tolerance.measure != "agreement":
            raise ValueError(f"a {tolerance.measure} tolerance needs a paired comparison")
        return _agreement(measured, tolerance, confidence)
    if tolerance.measure == "agreement":
        raise ValueError("agreement needs fidelity")
    return _drop(measured, tolerance, confidence)


def _drop(measured: PairedComparison, tolerance: Tolerance, confidence: float | None) -> Verdict:
    relative = tolerance.measure == "relative"
    estimate = measured.relative_drop if relative else measured.drop
    if estimate is None:
        raise _nothing_right()
    if confidence is None:
        met = estimate <= tolerance.value + _ROUNDING
        return Verdict(outcome="met" if met else "not met", tolerance=tolerance, estimate=estimate)
    both_sides = _two_sided(confidence)
    interval = (
        relative_drop_interval(measured.both, measured.lost, measured.gained, measured.n, both_sides)
        if relative
        else paired_difference(measured.lost, measured.gained, measured.n, both_sides)
    )
    if interval is None:
        raise _nothing_right()
    settled: Outcome | None = (
        "met" if interval.high < tolerance.value else "not met" if interval.low > tolerance.value else None
    )
    return _confident(
        tolerance, estimate, confidence, interval, settled, _images_for_drop(measured, tolerance, confidence)
    )


def _agreement(measured: Fidelity, tolerance: Tolerance, confidence: float | None) -> Verdict:
    if confidence is None:
        met = measured.agreement >= tolerance.value - _ROUNDING
        return Verdict(outcome="met" if met else "not met", tolerance=tolerance, estimate=measured.agreement)
    n = len(measured)
    interval = wilson(int(measured.certain_agreements.sum()), n, _two_sided(confidence))
    settled: Outcome | None = (
        "met" if interval.low > tolerance.value else "not met" if interval.high < tolerance.value else None
    )
    needed = images_needed_for_rate(
        rate=measured.pessimistic_agreement, threshold=tolerance.value, confidence=confidence
    )
    needed = None if needed is None else max(needed, n + 1)
    return _confident(tolerance, measured.agreement, confidence, interval, settled, needed)


def _confident(
    tolerance: Tolerance,
    estimate: float,
    confidence: float,
    interval: Interval,
    settled: Outcome | None,
    needed: int | None,
) -> Verdict:
    return Verdict(
        outcome=settled or "inconclusive",
        tolerance=tolerance,
        estimate=estimate,
        confidence=confidence,
        low=interval.low,
        high=interval.high,
        images_needed=None if settled else needed,
    )


def _images_for_drop(measured: PairedComparison, tolerance: Tolerance, confidence: float) -> int | None:
    allowed = tolerance.value
    if tolerance.measure == "relative":
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
