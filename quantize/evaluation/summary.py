"""The evaluation figures in a report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from quantize.evaluation.average_precision import mean_average_precision
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.fidelity import Fidelity
from quantize.evaluation.intervals import Interval, wilson
from quantize.evaluation.label_outcomes import LabelOutcomes
from quantize.evaluation.outcomes import Outcomes
from quantize.evaluation.paired_precision import precision_interval
from quantize.models.contract import ScoreKind, Task


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AccuracySummary(_Frozen):
    """Top-k accuracy; all rates are fractions of n.

    Attributes:
        k: How many answers count.
        expected: The headline: accuracy in expectation if ties fall at random.
        expected_interval: Its Wilson interval.
        pessimistic: Accuracy if ties count as wrong.
        pessimistic_interval: Its Wilson interval.
        optimistic: Accuracy if ties count as right.
        pessimistic_count: Images that are right however ties fall.
    """

    k: int
    expected: float
    expected_interval: Interval
    pessimistic: float
    pessimistic_interval: Interval
    optimistic: float
    pessimistic_count: int


class PrecisionSummary(_Frozen):
    """Mean average precision of a model that gives every label a score of its own.

    Attributes:
        expected: The mean over the labels that at least one image has, a fraction.
        expected_interval: Its interval by a bootstrap over the images.
        labels: How many labels that are.
    """

    expected: float
    expected_interval: Interval
    labels: int


class FidelitySummary(_Frozen):
    """Nearness to the fp32 model, which is the reference side.

    Attributes:
        scores: Whether KL is of the probabilities themselves or of the softmax of logits.
        agreement: Share of images with fp32's top-1 answer, in expectation over ties.
        agreement_interval: Its Wilson interval.
        pessimistic_agreement: The same with ties counting as disagreement.
        mean_kl: Mean KL(fp32 || candidate) in nats.
        sqnr: Signal energy / noise energy of the scores; None if there is no noise.
        sqnr_decibel: The same in dB.
    """

    scores: ScoreKind
    agreement: float
    agreement_interval: Interval
    pessimistic_agreement: float
    mean_kl: float
    sqnr: float | None
    sqnr_decibel: float | None


class SkippedImage(_Frozen):
    """An image that was left out, and why."""

    id: str
    reason: str


class EvaluationSummary(_Frozen):
    """One model on one set of images.

    Attributes:
        graph_sha256: Identity of the model that ran.
        n: Number of images.
        classes: Number of classes.
        top1: None without labels, and for a model of several labels; of one score, the share of right answers.
        top5: None without labels, and for five classes or fewer, where it says nothing.
        tied_count: Images on which two or more classes share the highest score.
        tied_share: The same as a fraction of n.
        constant_output: Every image got the same scores: the model does not look at its input.
        fidelity: None for the fp32 model itself.
        skipped: Images left out.
        task: What the model says of an image; in reports of earlier versions always its class.
        mean_average_precision: None without labels, and for a model that gives an image one class.
    """

    graph_sha256: str
    n: int = Field(gt=0)
    classes: int
    top1: AccuracySummary | None
    top5: AccuracySummary | None
    tied_count: int
    tied_share: float
    constant_output: bool
    fidelity: FidelitySummary | None
    skipped: tuple[SkippedImage, ...]
    task: Task = "one class"
    mean_average_precision: PrecisionSummary | None = None

    @property
    def accuracy(self) -> AccuracySummary | PrecisionSummary | None:
        """Return the figure that a drop is taken of; None without labels."""
        return self.top1 or self.mean_average_precision


def summarize(evaluation: Evaluation, confidence: float = 0.95) -> EvaluationSummary:
    """Return the figures of ``evaluation`` with two-sided intervals at ``confidence``."""
    by_class = evaluation.labelled and evaluation.task != "labels"
    return EvaluationSummary(
        graph_sha256=evaluation.graph_sha256,
        n=evaluation.n,
        classes=evaluation.classes,
        top1=_accuracy(evaluation, 1, confidence) if by_class else None,
        top5=_accuracy(evaluation, 5, confidence) if by_class and evaluation.classes > 5 else None,
        tied_count=evaluation.tied_count,
        tied_share=evaluation.tied_share,
        constant_output=evaluation.constant_output,
        fidelity=None if evaluation.fidelity is None else _fidelity(evaluation.fidelity, confidence),
        skipped=tuple(SkippedImage(id=image.id, reason=image.reason) for image in evaluation.skipped),
        task=evaluation.task,
        mean_average_precision=_precision(evaluation.outcomes, confidence),
    )


def _precision(outcomes: Outcomes | LabelOutcomes, confidence: float) -> PrecisionSummary | None:
    if not isinstance(outcomes, LabelOutcomes) or outcomes.labels is None:
        return None
    return PrecisionSummary(
        expected=mean_average_precision(outcomes),
        expected_interval=precision_interval(outcomes, confidence),
        labels=int(outcomes.labels.any(axis=0).sum()),
    )


def _accuracy(evaluation: Evaluation, k: int, confidence: float) -> AccuracySummary:
    counts = evaluation.top_k(k)
    return AccuracySummary(
        k=k,
        expected=counts.expected,
        expected_interval=wilson(counts.expected_count, counts.n, confidence),
        pessimistic=counts.pessimistic,
        pessimistic_interval=wilson(counts.pessimistic_count, counts.n, confidence),
        optimistic=counts.optimistic,
        pessimistic_count=counts.pessimistic_count,
    )


def _fidelity(fidelity: Fidelity, confidence: float) -> FidelitySummary:
    return FidelitySummary(
        scores=fidelity.kind,
        agreement=fidelity.agreement,
        agreement_interval=wilson(fidelity.agreement_count, len(fidelity), confidence),
        pessimistic_agreement=fidelity.pessimistic_agreement,
        mean_kl=fidelity.mean_kl,
        sqnr=fidelity.sqnr,
        sqnr_decibel=fidelity.sqnr_decibel,
    )
