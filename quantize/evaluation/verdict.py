"""The answer to "is the candidate accurate enough?", as a value."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from quantize.criterion import Criterion, Measure, Outcome
from quantize.errors import ExitCode

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
        confidence: One-sided; None where the point estimate decided.
        low: Lower one-sided bound of the true value; None where the point estimate decided.
        high: Upper one-sided bound.
        images_needed: How many images would settle it at 80 % power if the estimates are the truth; None where it
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
    """The verdict that decides, and the one at 95 % that is stated beside it.

    Attributes:
        deciding: By the point estimate, or at the confidence that was asked for.
        at_95: At 95 % one-sided.
    """

    deciding: Verdict
    at_95: Verdict
