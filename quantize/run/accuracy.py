"""One written model on one set of images: its figures, its comparison with fp32, its judgement."""

from __future__ import annotations

from quantize.engines.protocols import Goal
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.judge import judge
from quantize.evaluation.paired import compare
from quantize.evaluation.summary import summarize
from quantize.evaluation.verdict import Judgement, Tolerance
from quantize.report.models import AccuracySection


def baseline_accuracy(evaluation: Evaluation) -> AccuracySection:
    """Return the fp32 model's own figures."""
    return AccuracySection(evaluation=summarize(evaluation))


def candidate_accuracy(
    baseline: Evaluation, candidate: Evaluation, *, goal: Goal, confidence: float | None, seed: int
) -> AccuracySection:
    """Return a candidate's figures, paired with the baseline's on the same images."""
    labelled = baseline.labelled
    return AccuracySection(
        evaluation=summarize(candidate),
        top1=compare(baseline, candidate, k=1, seed=seed) if labelled else None,
        top5=compare(baseline, candidate, k=5, seed=seed) if labelled and baseline.classes > 5 else None,
        judgement=_judgement(baseline, candidate, goal, confidence),
    )


def tolerance_of(goal: Goal) -> Tolerance | None:
    """Return what a candidate may lose or must keep, or None where nothing is asked."""
    if goal.metric == "agreement" and goal.minimum is not None:
        return Tolerance(measure="agreement", value=goal.minimum)
    if goal.relative is not None:
        return Tolerance(measure="relative", value=goal.relative)
    if goal.absolute is not None:
        return Tolerance(measure="points", value=goal.absolute)
    return None


def _judgement(baseline: Evaluation, candidate: Evaluation, goal: Goal, confidence: float | None) -> Judgement | None:
    tolerance = tolerance_of(goal)
    if tolerance is None:
        return None
    if tolerance.measure == "agreement":
        assert candidate.fidelity is not None
        return judge(candidate.fidelity, tolerance, confidence)
    return judge(compare(baseline, candidate), tolerance, confidence)
