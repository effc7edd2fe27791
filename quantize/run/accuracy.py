"""One written model on one set of images: its figures, its comparison with fp32, its judgement."""

from __future__ import annotations

from quantize.criterion import Criterion
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.paired import compare
from quantize.evaluation.summary import summarize
from quantize.evaluation.verdict import Judgement, judge
from quantize.report.models import AccuracySection


def baseline_accuracy(evaluation: Evaluation) -> AccuracySection:
    """Return the fp32 model's own figures."""
    return AccuracySection(evaluation=summarize(evaluation))


def candidate_accuracy(
    baseline: Evaluation, candidate: Evaluation, *, criterion: Criterion, seed: int
) -> AccuracySection:
    """Return a candidate's figures, paired with the baseline's on the same images."""
    labelled = baseline.labelled
    return AccuracySection(
        evaluation=summarize(candidate),
        top1=compare(baseline, candidate, k=1, seed=seed) if labelled else None,
        top5=compare(baseline, candidate, k=5, seed=seed) if labelled and baseline.classes > 5 else None,
        judgement=_judgement(baseline, candidate, criterion),
    )


def _judgement(baseline: Evaluation, candidate: Evaluation, criterion: Criterion) -> Judgement | None:
    if criterion.metric == "none":
        return None
    if criterion.metric == "agreement":
        assert candidate.fidelity is not None
        return judge(candidate.fidelity, criterion)
    return judge(compare(baseline, candidate), criterion)
