"""A model's scores on the same images under several preprocessings, each run once."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quantize.data.batches import Batches
from quantize.data.crops.crops import crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.evaluation.inference import log_probabilities, scores_of
from quantize.models.artifact import ModelArtifact
from quantize.models.session import open_session
from quantize.progress import Progress, silent

Labels = NDArray[np.int64]
Truths = NDArray[np.bool_]

_BATCH = 16


@dataclass(frozen=True, eq=False)
class Tried:
    """What a model said under one preprocessing.

    Attributes:
        logs: float64 (N, classes), logarithms of probabilities.
        predictions: int64 (N,), the first likeliest class.
    """

    logs: NDArray[np.float64]
    predictions: Labels

    def right(self, labels: Labels) -> Truths:
        """Return bool (N,), which images are right by ``labels``, int64 (N,); labels out of range are wrong."""
        return np.asarray(self.predictions == labels)

    def likelihoods(self, labels: Labels) -> NDArray[np.float64]:
        """Return float64 (N,), the logarithm of the probability of each label; the least one where it is no class."""
        inside = (labels >= 0) & (labels < self.logs.shape[1])
        chosen = np.take_along_axis(self.logs, np.where(inside, labels, 0)[:, np.newaxis], axis=1)[:, 0]
        return np.where(inside, chosen, self.logs.min(axis=1))

    @property
    def confidence(self) -> float:
        """Return the mean probability of the predicted classes."""
        return float(np.exp(self.logs.max(axis=1)).mean())


@dataclass
class Trials:
    """Runs a model on one set of images.

    Attributes:
        model: The fp32 model.
        images: The images.
        cache: Folder for their crops.
        threads: Threads of the session.
        workers: Processes that decode.
        progress: Told of decoding.
        known: What was tried before, by model, images and preprocessing.
    """

    model: ModelArtifact
    images: ImageSet
    cache: Path
    threads: int = 1
    workers: int | None = None
    progress: Progress = silent
    known: MutableMapping[tuple[str, str, str], Tried] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._session = open_session(self.model.path, threads=self.threads)

    def tried(self, preprocessing: Preprocessing) -> Tried:
        """Return what the model says under a preprocessing, sizes decided.

        Raises:
            DataError: An image cannot be read.
        """
        images = str([self.images.place, *(record.locator for record in self.images.records)])
        key = (self.model.graph_sha256, images, preprocessing.fingerprint)
        if key not in self.known:
            crops = crop_images(self.images, preprocessing, self.cache, workers=self.workers, progress=self.progress)
            scores = np.concatenate(
                [
                    scores_of(self._session, self.model.contract, batch.images)
                    for batch in Batches(crops, preprocessing, _BATCH)
                ]
            )
            logs = log_probabilities(scores, self.model.contract.scores)
            self.known[key] = Tried(logs, scores.argmax(axis=1).astype(np.int64))
        return self.known[key]
