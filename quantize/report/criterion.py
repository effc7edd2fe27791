"""What was asked for, and whether it was reached."""

from __future__ import annotations

from typing import Literal

from quantize.report.section import Section

Status = Literal["met", "not met", "inconclusive", "not asked"]


class CriterionSection(Section):
    """The accuracy criterion.

    Attributes:
        metric: ``top1`` (expected), ``agreement`` with fp32's top-1 (without labels), or ``none``.
        relative: Tolerated drop as a fraction of the baseline's top-1.
        absolute: Tolerated drop as a fraction of 1.
        minimum: Least agreement.
        confidence: The certainty that was asked for; None: the point estimate decides.
        floor: The lowest value of the metric that passes, a fraction.
    """

    metric: Literal["top1", "agreement", "none"]
    relative: float | None
    absolute: float | None
    minimum: float | None
    confidence: float | None
    floor: float | None


class VerdictSection(Section):
    """The outcome in one word, and why.

    Attributes:
        status: The verdict on the chosen model, both formats taken together.
        text: One sentence for a person.
        reasons: What made it so, one sentence each.
        stopped_because: Why tuning ended.
        tolerance_images: How many of the deciding images the tolerance is worth; None where nothing is tolerated by
            number, or a certainty was asked for.
    """

    status: Status
    text: str
    reasons: tuple[str, ...]
    stopped_because: str
    tolerance_images: float | None = None
