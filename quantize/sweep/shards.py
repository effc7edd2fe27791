"""A part of an evaluation on a worker, which reads and decodes the images itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.errors import DataError, ModelError
from quantize.evaluation.scores import ScoreStore
from quantize.evaluation.shards import Shard, evaluate_shard
from quantize.models.artifact import ModelArtifact
from quantize.provenance import sha256_file

_BLOCK = 256
"""Images that are decoded together, whichever of them a part needs: a file of crops each."""


@dataclass(frozen=True, eq=False)
class ShardTask:
    """What a worker is given.

    Attributes:
        sweep: Identity of the sweep: a worker lists the images once for each.
        model: The model; its file is on a file system that all workers share.
        data: The images, as the worker finds them.
        labels: The label file, which says which images count; None: all of them.
        preprocessing: How they become the model's input.
        batch_size: Images in a batch.
        crops: Folder of decoded images.
        ids: The images of the part.
        truth: Their labels, (N,) int64 or (N, labels) uint8; None without labels.
        digests: SHA-256 of each crop's bytes, as the run decoded it.
        baseline: The fp32 model's scores of these images; None: no fidelity.
        exact: Whether models compute without saturation.
        keeps_scores: Whether the scores of all images are returned.
    """

    sweep: str
    model: ModelArtifact
    data: Path
    labels: Path | None
    preprocessing: Preprocessing
    batch_size: int
    crops: Path
    ids: tuple[str, ...]
    truth: NDArray[Any] | None
    digests: tuple[str, ...]
    baseline: ScoreStore | None
    exact: bool
    keeps_scores: bool


def evaluate_on_worker(task: ShardTask) -> Shard:
    """Return what a model answers on a part of the images.

    Raises:
        DataError: The images are not there, or are not those of the run.
        ModelError: The model's file is not there, or is another one; or its scores are no scores.
    """
    path = task.model.path
    if not path.is_file() or sha256_file(path) != task.model.sha256:
        raise ModelError(
            "a worker does not find the model that the run wrote",
            where=str(path),
            found="another file" if path.is_file() else "no such file",
            expected="the sweep's folder on a file system that all workers share",
            advice="mount it in the same place on every worker",
        )
    batches = Batches(_decoded(task), task.preprocessing, task.batch_size)
    return evaluate_shard(task.model, batches, baseline=task.baseline, exact=task.exact, keeps_scores=task.keeps_scores)


def _decoded(task: ShardTask) -> Crops:
    """Return the images of a part, decoded here or found decoded by an earlier one.

    Raises:
        DataError: They are not the run's.
    """
    listed = _listed(task.sweep, task.data, task.labels)
    at = _positions(task.sweep, task.data, task.labels)
    missing = [name for name in task.ids if name not in at]
    if missing:
        raise _other_images(task, missing, "not there")
    blocks: dict[int, Crops] = {}
    for start in sorted({at[name] // _BLOCK * _BLOCK for name in task.ids}):
        images = listed.subset(range(start, min(start + _BLOCK, len(listed))))
        blocks[start] = crop_images(images, task.preprocessing, task.crops, workers=1, skip_unreadable=True)
    side, channels = task.preprocessing.side, task.preprocessing.channels
    array = np.empty((len(task.ids), side, side, channels), np.uint8)
    for start, block in blocks.items():
        row = {name: number for number, name in enumerate(block.ids)}
        here = [number for number, name in enumerate(task.ids) if at[name] // _BLOCK * _BLOCK == start]
        lost = [task.ids[number] for number in here if task.ids[number] not in row]
        if lost:
            raise _other_images(task, lost, "unreadable")
        array[here] = block.array[[row[task.ids[number]] for number in here]]
    crops = Crops.from_array(task.ids, array, None, task.preprocessing)
    pairs = zip(task.ids, crops.digests, task.digests, strict=True)
    other = [name for name, own, expected in pairs if own != expected]
    if other:
        raise _other_images(task, other, "another image")
    return replace(crops, labels=task.truth)


@lru_cache(maxsize=4)
def _listed(_sweep: str, data: Path, labels: Path | None) -> ImageSet:
    return open_images(data, labels, classes=None, several=None)


@lru_cache(maxsize=4)
def _positions(sweep: str, data: Path, labels: Path | None) -> dict[str, int]:
    return {record.id: number for number, record in enumerate(_listed(sweep, data, labels).records)}


def _other_images(task: ShardTask, names: list[str], found: str) -> DataError:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return DataError(
        "the images of a worker are not those of the run",
        where=str(task.data),
        found=f"{found}: {shown} ({len(names):,} of {len(task.ids):,})",
        expected="the same images wherever a worker reads them",
        advice="give every worker the same data, decoded by the same versions",
    )
