"""The chosen candidate on images that no trial saw, beside the images that chose it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from quantize.errors import DataError
from quantize.evaluation.evaluation import Evaluation, aligned
from quantize.evaluation.judge import judge
from quantize.evaluation.paired import PairedComparison, compare
from quantize.evaluation.verdict import Judgement, Tolerance


class Figure(BaseModel):
    """The paired comparison on one set of images and the verdicts from it; one verdict a tolerance.

    Attributes:
        top1: The comparison that the verdicts rest on.
        judgements: In the order of the tolerances.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    top1: PairedComparison
    judgements: tuple[Judgement, ...]


class Certification(BaseModel):
    """Both figures of the chosen candidate.

    Whoever picks the best of several candidates picks its luck too: the figure on the images that chose it is
    too good, the one on images kept back is not.

    Attributes:
        candidates_tried: How many were evaluated on the selection images.
        selection: On the images that every candidate was evaluated on.
        certification: On the images kept from every trial; None where none were kept back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates_tried: int = Field(ge=1)
    selection: Figure
    certification: Figure | None

    @property
    def selection_bias(self) -> bool:
        """Return whether the only figure is one that also chose the candidate."""
        return self.certification is None and self.candidates_tried > 1

    @property
    def deciding(self) -> Figure:
        """Return the figure that decides: on images kept back where there are any."""
        return self.certification if self.certification is not None else self.selection


def certify(
    baseline: Evaluation,
    candidate: Evaluation,
    tolerances: Sequence[Tolerance],
    *,
    kept_back: Sequence[str],
    candidates_tried: int,
    confidence: float | None = None,
    seed: int = 0,
) -> Certification:
    """Return both figures of the chosen candidate.

    Args:
        baseline: The fp32 model on all evaluation images.
        candidate: The chosen candidate on the same images.
        tolerances: ``relative`` and ``points`` ones.
        kept_back: Ids of the images that no trial saw; may be empty.
        candidates_tried: How many candidates were evaluated to choose this one.
        confidence: One-sided, of the deciding verdicts; None: the point estimate decides.
        seed: Of the bootstrap.

    Raises:
        DataError: The images differ, an id kept back is not among them, or all are kept back.
    """
    candidate = aligned(baseline, candidate)
    apart = set(kept_back)
    unknown = sorted(apart - set(baseline.ids))
    if unknown or len(apart) == baseline.n:
        raise DataError(
            "the images kept back do not split the evaluation images",
            found=f"not among them: {', '.join(unknown[:3])}" if unknown else f"all {baseline.n} are kept back",
            expected="a proper part of the evaluation images",
        )

    def figure(at: list[int]) -> Figure:
        top1 = compare(baseline.take(at), candidate.take(at), seed=seed)
        return Figure(top1=top1, judgements=tuple(judge(top1, tolerance, confidence) for tolerance in tolerances))

    return Certification(
        candidates_tried=candidates_tried,
        selection=figure([i for i, name in enumerate(baseline.ids) if name not in apart]),
        certification=figure([i for i, name in enumerate(baseline.ids) if name in apart]) if apart else None,
    )
