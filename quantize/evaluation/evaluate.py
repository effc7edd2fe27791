"""One streaming pass of a model over the evaluation images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quantize.data.batches import Batch, Batches
from quantize.data.crops.crops import Skipped
from quantize.evaluation.answers import Answers
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.inference import open_scores, scores_of
from quantize.evaluation.overlap import overlapped
from quantize.evaluation.scores import ScoreStore, writing
from quantize.models.artifact import ModelArtifact
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


class AnyBatches(Protocol):
    """Batches by their place: ``Batches``, or a list."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, at: int, /) -> Batch:
        """Return one, in any thread."""
        ...


def evaluate(
    model: ModelArtifact,
    batches: AnyBatches,
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
    session, contract = open_scores(model, exact=exact), model.contract

    def answered(at: int) -> tuple[Batch, NDArray[np.float32]]:
        batch = batches[at]
        return batch, scores_of(session, contract, batch.images)

    with (
        nullcontext() if store is None else writing(store, model.graph_sha256, contract.scores, contract.task) as writer
    ):
        answers = Answers(model, baseline, writer)
        for at, (batch, scores) in overlapped(answered, range(len(batches)), threads):
            answers.add(batch, scores)
            progress("evaluate", at + 1, len(batches))
        outcomes, fidelity = answers.outcomes(), answers.fidelity()
    return Evaluation(
        graph_sha256=model.graph_sha256,
        classes=contract.classes,
        outcomes=outcomes,
        skipped=tuple(skipped),
        fidelity=fidelity,
        constant_output=answers.constant(),
        task=contract.task,
    )
