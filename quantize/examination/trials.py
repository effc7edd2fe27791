"""A model's predictions for the same images under several preprocessings, each run once."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quantize.data.batches import Batches
from quantize.data.crops.crops import crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.evaluation.evaluation import believable_rate
from quantize.evaluation.inference import log_probabilities, open_scores, scores_of
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry
from quantize.progress import Progress, silent

Labels = NDArray[np.int64]

AS_GIVEN = "as given"
CHANCE = 1e-4
"""Another preprocessing, or order of labels, counts as better where chance explains it once in 10,000 set-ups, all
others taken together."""
_BATCH = 16


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says under one preprocessing.

    Attributes:
        logs: float64 (N, classes), logarithms of probabilities.
        top1: int64 (N,), the first likeliest class.
    """

    logs: NDArray[np.float64]
    top1: Labels

    def right(self, labels: Labels) -> NDArray[np.bool_]:
        """Return bool (N,), which images are right by ``labels``, int64 (N,); labels out of range are wrong."""
        return np.asarray(self.top1 == labels)

    def likelihoods(self, labels: Labels) -> NDArray[np.float64]:
        """Return float64 (N,), the logarithm of the probability of each label; the lowest for a label of no class."""
        inside = (labels >= 0) & (labels < self.classes)
        chosen = np.take_along_axis(self.logs, np.where(inside, labels, 0)[:, np.newaxis], axis=1)[:, 0]
        return np.where(inside, chosen, self.logs.min(axis=1))

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return self.logs.shape[1]

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
        progress: Called while images are decoded.
        known: Predictions of earlier trials, by model, images and preprocessing.
    """

    model: ModelArtifact
    images: ImageSet
    cache: Path
    threads: int = 1
    workers: int | None = None
    progress: Progress = silent
    known: MutableMapping[tuple[str, str, str], Predictions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._session = open_scores(self.model, threads=self.threads)

    def under(self, preprocessing: Preprocessing) -> Predictions:
        """Return what the model says under a preprocessing, sizes decided.

        Raises:
            DataError: An image cannot be read.
        """
        images = str([self.images.place, *(record.locator for record in self.images.records)])
        key = (self.model.graph_sha256, images, preprocessing.fingerprint)
        if key not in self.known:
            crops = crop_images(self.images, preprocessing, self.cache, workers=self.workers, progress=self.progress)
            batches = Batches(crops, preprocessing, _BATCH)
            scores = np.concatenate([scores_of(self._session, self.model.contract, batch.images) for batch in batches])
            logs = log_probabilities(scores, self.model.contract.scores)
            self.known[key] = Predictions(logs, scores.argmax(axis=1).astype(np.int64))
        return self.known[key]


@dataclass(frozen=True)
class Variant:
    """A preprocessing that differs from the one of the settings.

    Attributes:
        preprocessing: Sizes decided.
        change: What it changes, in words.
    """

    preprocessing: Preprocessing
    change: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """What the model says under the preprocessing of the settings and under others, and the labels in several orders.

    Attributes:
        asked: The preprocessing of the settings.
        base: The predictions under it.
        variants: Other preprocessings, with the predictions under them.
        orders: Name of an order of labels to the classes, int64 (N,), that it gives for the images; ``AS_GIVEN`` among
            them.
        entry: What the catalog knows of the model.
    """

    asked: Preprocessing
    base: Predictions
    variants: Sequence[tuple[Variant, Predictions]]
    orders: Mapping[str, Labels]
    entry: CatalogEntry | None

    @property
    def images(self) -> int:
        """Return the number of images."""
        return len(self.base.top1)

    @property
    def all_predictions(self) -> tuple[Predictions, ...]:
        """Return the predictions under each preprocessing, that of the settings first."""
        return (self.base, *(predictions for _, predictions in self.variants))

    def most_right(self, labels: Labels) -> int:
        """Return the largest number of right answers under any preprocessing."""
        return max(int(predictions.right(labels).sum()) for predictions in self.all_predictions)

    def best_order(self) -> tuple[str, Labels]:
        """Return the order under which some preprocessing is right most often: ``AS_GIVEN`` where none is better."""
        counts = {name: self.most_right(labels) for name, labels in self.orders.items()}
        best = max(counts, key=lambda name: (counts[name], name == AS_GIVEN))
        # Every image that one order has right the other has wrong: a sign test of the counts.
        if best != AS_GIVEN and _sign_test(counts[best], counts[AS_GIVEN]) * len(counts) > CHANCE:
            best = AS_GIVEN
        return best, self.orders[best]

    @property
    def at_chance(self) -> bool:
        """Whether no preprocessing and no order of labels gives more right answers than guessing."""
        most, rate = self.most_right(self.best_order()[1]), believable_rate(self.base.classes)
        return bool(stats.binomtest(most, self.images, rate, "greater").pvalue > CHANCE)


def _sign_test(more: int, fewer: int) -> float:
    return float(stats.binomtest(more, more + fewer, 0.5, "greater").pvalue) if more + fewer else 1.0
