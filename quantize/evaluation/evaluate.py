"""One streaming pass of a model over the evaluation images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quantize.data.batches import Batch, Batches
from quantize.data.crops.crops import Skipped
from quantize.errors import DataError, ModelError
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.fidelity import Fidelity, fidelity_of
from quantize.evaluation.inference import open_scores, scores_of
from quantize.evaluation.label_outcomes import LabelOutcomes, label_outcomes_of
from quantize.evaluation.outcomes import Outcomes, concatenate, outcomes_of
from quantize.evaluation.overlap import overlapped
from quantize.evaluation.scores import ScoreStore, writing
from quantize.models.artifact import ModelArtifact, ModelContract
from quantize.progress import Progress, silent


class EvaluationPass(Protocol):
    """A pass over the evaluation images, as ``evaluate`` makes it: here, or in parts elsewhere."""

    def __call__(
        self,
        model: ModelArtifact,
        batches: Batches,
        /,
        *,
        threads: int = 1,
        baseline: ScoreStore | None = None,
        store: Path | None = None,
        skipped: Sequence[Skipped] = (),
        exact: bool = False,
        progress: Progress = silent,
    ) -> Evaluation:
        """Return what the model answers on the images."""
        ...


def evaluate(
    model: ModelArtifact,
    batches: Iterable[Batch],
    *,
    threads: int = 1,
    baseline: ScoreStore | None = None,
    store: Path | None = None,
    skipped: Sequence[Skipped] = (),
    exact: bool = False,
    progress: Progress = silent,
) -> Evaluation:
    """Run the file at ``model.path`` once over ``batches`` and return what it answered.

    Args:
        model: The saved model; its file is loaded anew.
        batches: The evaluation images; labels in every batch or in none.
        threads: Batches that run at a time, each on one thread: two on a core each take less time together than one
            after the other on both, and what is done between two inferences keeps no core waiting.
        baseline: The fp32 model's scores of (at least) these images; with it, fidelity is measured.
        store: Where to keep this model's scores for later candidates.
        skipped: Images that could not be read, carried into the result.
        exact: Whether sums of integer products are computed without saturation, as a CPU with VNNI does, or as
            this CPU does.
        progress: Called after each batch.

    Raises:
        DataError: No image, a label that is no class, or an image without fp32 scores.
        ModelError: NaN or infinite scores, or an output that is not one score a class.
    """
    session = open_scores(model, exact=exact)
    total = len(batches) if isinstance(batches, Sized) else None
    outcomes: list[Outcomes | LabelOutcomes] = []
    fidelity: list[Fidelity] = []
    constant, contract = _Constancy(), model.contract
    with (
        nullcontext() if store is None else writing(store, model.graph_sha256, contract.scores, contract.task) as writer
    ):
        for batch, scores in overlapped(lambda batch: scores_of(session, contract, batch.images), batches, threads):
            _require_finite(model, batch.ids, scores)
            outcomes.append(_outcomes(model.contract, batch, scores))
            constant.see(scores)
            if writer is not None:
                writer.append(batch.ids, scores)
            if baseline is not None:
                fidelity.append(
                    fidelity_of(_reference(baseline, model, batch.ids), scores, baseline.kind, model.contract.task)
                )
            progress("evaluate", len(outcomes), total)
        if not outcomes:
            raise DataError("there is no image to evaluate on", expected="at least one image")
    return Evaluation(
        graph_sha256=model.graph_sha256,
        classes=model.contract.classes,
        outcomes=concatenate(outcomes),
        skipped=tuple(skipped),
        fidelity=concatenate(fidelity) if fidelity else None,
        constant_output=constant.holds,
        task=model.contract.task,
    )


def _outcomes(contract: ModelContract, batch: Batch, scores: NDArray[np.float32]) -> Outcomes | LabelOutcomes:
    if contract.task == "labels":
        return label_outcomes_of(batch.ids, scores, batch.labels, contract.scores)
    return outcomes_of(batch.ids, scores, batch.labels)


class _Constancy:
    """Watches whether every image gets the same scores; one image alone says nothing."""

    def __init__(self) -> None:
        self._first: NDArray[np.float32] | None = None
        self._seen = 0
        self._same = True

    def see(self, scores: NDArray[np.float32]) -> None:
        if self._first is None:
            self._first = scores[0].copy()
        self._seen += len(scores)
        self._same = self._same and bool((scores == self._first).all())

    @property
    def holds(self) -> bool:
        return self._same and self._seen > 1


def _require_finite(model: ModelArtifact, ids: Sequence[str], scores: NDArray[np.float32]) -> None:
    broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(broken):
        raise ModelError(
            f"the model gives NaN or infinite scores on {len(broken)} images of a batch of {len(ids)}",
            where=str(model.path),
            found=", ".join(ids[i] for i in broken[:10]),
            expected="finite scores",
            advice="look at what the model gives for them where it was exported; at its scales, if it is quantized",
        )


def _reference(baseline: ScoreStore, model: ModelArtifact, ids: Sequence[str]) -> NDArray[np.float32]:
    if baseline.classes != model.contract.classes:
        raise ModelError(
            "the model has another number of classes than the fp32 model it is compared with",
            where=str(model.path),
            found=str(model.contract.classes),
            expected=str(baseline.classes),
        )
    return baseline.of(ids)
