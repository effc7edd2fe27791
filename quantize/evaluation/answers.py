"""What a model answered on the images of a pass, looked at many images at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.data.batches import Batch
from quantize.errors import DataError, ModelError
from quantize.evaluation.fidelity import Fidelity, fidelity_of
from quantize.evaluation.label_outcomes import LabelOutcomes, label_outcomes_of
from quantize.evaluation.outcomes import Outcomes, concatenate, outcomes_of
from quantize.evaluation.scores import ScoreStore, ScoreWriter
from quantize.models.artifact import ModelArtifact

# Images whose scores are looked at together. Of a few at a time, most of what that takes is not the looking: after each
# inference, the interpreter's code and data have left the core's cache.
_TOGETHER = 64


class Answers:
    """Takes the scores of batch after batch, and keeps what is asked of each image.

    Args:
        model: What answers.
        baseline: The fp32 model's scores of (at least) these images; with it, fidelity is measured.
        writer: Takes the scores, or None.
    """

    def __init__(self, model: ModelArtifact, baseline: ScoreStore | None, writer: ScoreWriter | None) -> None:
        self._model = model
        self._baseline = baseline
        self._writer = writer
        self._waiting: list[tuple[tuple[str, ...], NDArray[Any] | None, NDArray[np.float32]]] = []  # no pixels
        self._outcomes: list[Outcomes | LabelOutcomes] = []
        self._fidelity: list[Fidelity] = []
        self._first: NDArray[np.float32] | None = None
        self._alike = True

    def add(self, batch: Batch, scores: NDArray[np.float32]) -> None:
        """Take the scores (N, classes) of a batch.

        Raises:
            DataError: A label that is no class, or an image without fp32 scores.
            ModelError: NaN or infinite scores, or another number of classes than the fp32 model's.
        """
        self._waiting.append((batch.ids, batch.labels, scores))
        if sum(len(each) for each, _, _ in self._waiting) >= _TOGETHER:
            self._look()

    def outcomes(self) -> Outcomes | LabelOutcomes:
        """Return what each image was answered.

        Raises:
            DataError: No image at all; and what ``add`` raises.
        """
        self._look()
        if not self._outcomes:
            raise DataError("there is no image to evaluate on", expected="at least one image")
        return concatenate(self._outcomes)

    def fidelity(self) -> Fidelity | None:
        """Return how near each image's scores are to fp32's; None without a baseline."""
        self._look()
        return concatenate(self._fidelity) if self._fidelity else None

    def constant(self) -> bool:
        """Return whether every image got the same scores; one image alone says nothing."""
        self._look()
        return self._alike and sum(map(len, self._outcomes)) > 1

    def _look(self) -> None:
        if not self._waiting:
            return
        named, labelled, scored = zip(*self._waiting, strict=True)
        self._waiting = []
        ids = tuple(chain.from_iterable(named))
        labels = None if labelled[0] is None else np.concatenate(labelled)
        scores = np.concatenate(scored)
        _require_finite(self._model, ids, scores)
        contract = self._model.contract
        if contract.task == "labels":
            self._outcomes.append(label_outcomes_of(ids, scores, labels, contract.scores))
        else:
            self._outcomes.append(outcomes_of(ids, scores, labels))
        if self._first is None:
            self._first = scores[0].copy()
        self._alike = self._alike and bool((scores == self._first).all())
        if self._writer is not None:
            self._writer.append(ids, scores)
        if self._baseline is not None:
            reference = _reference(self._baseline, self._model, ids)
            self._fidelity.append(fidelity_of(reference, scores, self._baseline.kind, contract.task))


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
