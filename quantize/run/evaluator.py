"""Evaluate each candidate once, compare it with the fp32 baseline and judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from quantize.criterion import Criterion
from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import Preprocessing
from quantize.evaluation.evaluate import EvaluationPass, evaluate
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.paired import compare
from quantize.evaluation.paired_precision import compare_precision
from quantize.evaluation.scores import ScoreStore
from quantize.evaluation.summary import summarize
from quantize.evaluation.verdict import Judgement, judge
from quantize.models.artifact import ModelArtifact
from quantize.progress import Progress, silent
from quantize.report.models import AccuracySection


@dataclass
class Evaluator:
    """Evaluates models on one set of images and remembers what it found, by graph hash.

    Attributes:
        crops: The images.
        preprocessing: How crops become the model's input.
        scores: File of the fp32 model's scores, written by ``evaluate_baseline``.
        threads: Threads of the sessions.
        batch_size: Images a call.
        exact: Whether models compute without saturation, see ``evaluate``.
        progress: Receives the images done after each batch.
        all_images: Makes a pass over all images; another one may share it out.
    """

    crops: Crops
    preprocessing: Preprocessing
    scores: Path
    threads: int
    batch_size: int = 16
    exact: bool = False
    progress: Progress = silent
    all_images: EvaluationPass = evaluate
    _store: ScoreStore | None = field(default=None, init=False)
    _known: dict[str, Evaluation] = field(default_factory=dict, init=False)

    def evaluate_baseline(self, model: ModelArtifact) -> Evaluation:
        """Return the fp32 model's evaluation; the first time, run it and keep its scores for the candidates."""
        known = self._known.get(model.graph_sha256)
        if known is not None and self._store is not None:
            return known
        evaluation = self.all_images(
            model,
            self._batches(),
            threads=self.threads,
            store=self.scores,
            skipped=self.crops.skipped,
            exact=self.exact,
            progress=self.progress,
        )
        self._store = ScoreStore.open(self.scores)
        self._known[model.graph_sha256] = evaluation
        return evaluation

    def evaluate(self, model: ModelArtifact, preprocessing: Preprocessing | None = None) -> Evaluation:
        """Return the evaluation of a candidate, with its fidelity to the baseline; the same graph runs once.

        Args:
            model: The candidate.
            preprocessing: How the same crops become its input; None: as for the baseline.
        """
        if self._store is None:
            raise ValueError("the baseline has to be evaluated first")
        if model.graph_sha256 not in self._known:
            self._known[model.graph_sha256] = self.all_images(
                model,
                self._batches(preprocessing),
                threads=self.threads,
                baseline=self._store,
                skipped=self.crops.skipped,
                exact=self.exact,
                progress=self.progress,
            )
        return self._known[model.graph_sha256]

    def evaluate_some(self, model: ModelArtifact, positions: Sequence[int]) -> Evaluation:
        """Return the evaluation of a candidate on the images at some positions, in that order; it is not remembered."""
        if self._store is None:
            raise ValueError("the baseline has to be evaluated first")
        return evaluate(
            model,
            Batches(self.crops.subset(list(positions)), self.preprocessing, self.batch_size),
            threads=self.threads,
            baseline=self._store,
            exact=self.exact,
            progress=self.progress,
        )

    def metric(self, model: ModelArtifact, criterion: Criterion) -> float:
        """Return the criterion's metric of a candidate, a fraction; the same graph runs once."""
        return metric_of(self.evaluate(model), criterion)

    def part(self, positions: Sequence[int]) -> Evaluator:
        """Return what evaluates models on the images at some positions; the baseline's evaluation is known there."""
        part = replace(self, crops=self.crops.subset(list(positions)))
        part._store = self._store
        part._known = {key: known.take(list(positions)) for key, known in self._known.items() if not known.fidelity}
        return part

    def known(self, graph_sha256: str) -> Evaluation | None:
        """Return the evaluation of a graph, or None if it was not evaluated."""
        return self._known.get(graph_sha256)

    def _batches(self, preprocessing: Preprocessing | None = None) -> Batches:
        return Batches(self.crops, preprocessing or self.preprocessing, self.batch_size)


def metric_of(evaluation: Evaluation, criterion: Criterion) -> float:
    """Return the criterion's metric, a fraction: accuracy, or agreement with fp32.

    Raises:
        ValueError: Agreement of the baseline with itself was asked for, or the criterion measures nothing.
    """
    if criterion.metric == evaluation.metric:
        return evaluation.accuracy
    if criterion.metric == "agreement" and evaluation.fidelity is not None:
        return evaluation.fidelity.agreement
    raise ValueError(f"no metric '{criterion.metric}' in this evaluation")


def baseline_accuracy(evaluation: Evaluation) -> AccuracySection:
    """Return the fp32 model's own figures."""
    return AccuracySection(evaluation=summarize(evaluation))


def candidate_accuracy(
    baseline: Evaluation, candidate: Evaluation, *, criterion: Criterion, seed: int
) -> AccuracySection:
    """Return a candidate's figures, paired with the baseline's on the same images."""
    labelled = baseline.labelled
    if labelled and baseline.metric == "map":
        paired = compare_precision(baseline, candidate, seed=seed)
        judged = candidate.fidelity if criterion.metric == "agreement" else paired
        return AccuracySection(
            evaluation=summarize(candidate),
            mean_average_precision=paired,
            judgement=None if criterion.metric == "none" or judged is None else judge(judged, criterion),
        )
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
