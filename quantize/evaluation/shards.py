"""A pass over the evaluation images in parts, and the parts put together to the evaluation of one pass, byte for byte.

A part is a number of whole batches: each batch holds the same images as in one pass, whoever runs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops, Skipped
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.fidelity import Fidelity
from quantize.evaluation.outcomes import concatenate
from quantize.evaluation.scores import ScoreStore, writing
from quantize.files import scratch_folder
from quantize.models.artifact import ModelArtifact


@dataclass(frozen=True, eq=False)
class Shard:
    """What a model answered on a part of the images.

    Attributes:
        evaluation: The evaluation of the part.
        first: float32 (classes,), the scores of its first image.
        alike: Whether all its images got the same scores.
        scores: float32 (N, classes), the scores of all its images; None where nobody asked for them.
    """

    evaluation: Evaluation
    first: NDArray[np.float32]
    alike: bool
    scores: NDArray[np.float32] | None


def parts_of(crops: Crops, images: int, batch_size: int) -> Iterator[Crops]:
    """Yield the crops in parts of whole batches.

    Args:
        crops: The images.
        images: How many a part holds at most; a batch at least.
        batch_size: Images in a batch.
    """
    size = max(1, images // batch_size) * batch_size
    for start in range(0, len(crops), size):
        yield crops.subset(range(start, min(start + size, len(crops))))


def evaluate_shard(
    model: ModelArtifact, batches: Batches, *, baseline: ScoreStore | None, exact: bool, keeps_scores: bool
) -> Shard:
    """Run a model over a part of the images, on one thread.

    Args:
        model: The saved model; its file is loaded anew.
        batches: The images of the part.
        baseline: The fp32 model's scores of (at least) these images; with it, fidelity is measured.
        exact: As for ``evaluate``.
        keeps_scores: Whether the scores of all images are returned.

    Raises:
        DataError: A label that is no class, or an image without fp32 scores.
        ModelError: NaN or infinite scores, or an output that is not one score a class.
    """
    with scratch_folder("shard") as scratch:
        store = scratch / "scores"
        evaluation = evaluate(model, batches, baseline=baseline, store=store, exact=exact)
        scores = np.array(ScoreStore.open(store).scores)
    alike = bool((scores == scores[0]).all())
    return Shard(evaluation, scores[0].copy(), alike, scores if keeps_scores else None)


def merged(shards: Sequence[Shard], skipped: Sequence[Skipped]) -> Evaluation:
    """Return the evaluation of all parts, in their order, as one pass over their images gives it.

    Args:
        shards: At least one; either all measured fidelity or none did.
        skipped: Images that could not be read, carried into the result.

    Raises:
        ValueError: No part, an image in two parts, or parts of different models.
    """
    evaluations = [shard.evaluation for shard in shards]
    if len({evaluation.graph_sha256 for evaluation in evaluations}) != 1:
        raise ValueError("parts of different models, or none")
    fidelity: list[Fidelity] = [each.fidelity for each in evaluations if each.fidelity is not None]
    outcomes = concatenate(each.outcomes for each in evaluations)
    alike = all(shard.alike and (shard.first == shards[0].first).all() for shard in shards)
    return replace(
        evaluations[0],
        outcomes=outcomes,
        skipped=tuple(skipped),
        fidelity=concatenate(fidelity) if fidelity else None,
        constant_output=bool(alike) and len(outcomes) > 1,
    )


def write_scores(path: Path, model: ModelArtifact, shards: Sequence[Shard]) -> None:
    """Store the scores of all parts, in their order, as ``evaluate`` stores those of one pass.

    Raises:
        ValueError: A part without its scores.
    """
    contract = model.contract
    with writing(path, model.graph_sha256, contract.scores, contract.task) as writer:
        for shard in shards:
            if shard.scores is None:
                raise ValueError("a part without its scores")
            writer.append(shard.evaluation.ids, shard.scores)
