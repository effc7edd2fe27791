"""Per-image outcomes of a model that gives every label of an image a score of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantize.errors import DataError
from quantize.evaluation.outcomes import Floats, Scores, check_ids
from quantize.models.contract import ScoreKind

Bools = NDArray[np.bool_]


def threshold(kind: ScoreKind) -> float:
    """Return the score above which an image has a label: a probability of 0.5, which is a logit of 0."""
    return 0.5 if kind == "sigmoid" else 0.0


@dataclass(frozen=True, eq=False)
class LabelOutcomes:
    """What one model answered on each of N images, N > 0, of C labels.

    Attributes:
        ids: The images, unique, in the order of every array here.
        labels: bool (N, C), which labels each image has; None without labels.
        scores: float32 (N, C).
        threshold: An image has a label above this score; exactly there it is undecided.

    Raises:
        ValueError: No image, an id twice, or arrays of different sizes.
    """

    ids: tuple[str, ...]
    labels: Bools | None
    scores: NDArray[np.float32]
    threshold: float

    def __post_init__(self) -> None:
        n = check_ids(self.ids)
        if len(self.scores) != n or (self.labels is not None and self.labels.shape != self.scores.shape):
            raise ValueError(f"scores of shape {self.scores.shape} for {n} images")
        for array in (self.labels, self.scores):
            if array is not None:
                array.flags.writeable = False

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    @property
    def labelled(self) -> bool:
        """Return whether the true labels are known."""
        return self.labels is not None

    @property
    def decided(self) -> Bools:
        """Return bool (N, C), the labels that the model gives each image."""
        given: Bools = self.scores > self.threshold
        return given

    @property
    def undecided(self) -> Bools:
        """Return bool (N, C), the labels whose score is exactly the threshold."""
        open_: Bools = self.scores == self.threshold
        return open_

    @property
    def tied(self) -> Bools:
        """Return bool (N,), the images with an undecided label."""
        return np.asarray(self.undecided.any(axis=1))

    def require_labels(self) -> Bools:
        """Return the true labels.

        Raises:
            DataError: There are no labels.
        """
        if self.labels is None:
            raise DataError(
                "accuracy needs labels, and these images have none",
                expected="a line `name label label ...` for every image",
                advice="give --label_path, or decide by agreement with the fp32 model",
            )
        return self.labels

    @property
    def right(self) -> Bools:
        """Return bool (N, C), the decisions that are right, undecided ones counting as wrong.

        Raises:
            DataError: There are no labels.
        """
        right: Bools = (self.decided == self.require_labels()) & ~self.undecided
        return right

    @property
    def distance(self) -> Floats:
        """Return float64 (N, C), how far each score lies from the threshold."""
        return np.asarray(np.abs(self.scores.astype(np.float64) - self.threshold))


def label_outcomes_of(
    ids: Sequence[str], scores: Scores, labels: NDArray[np.generic] | None, kind: ScoreKind
) -> LabelOutcomes:
    """Return the outcomes of finite ``scores`` (N, C); ``labels`` (N, C), not 0 where an image has one, or None.

    Raises:
        DataError: The labels are those of another number of labels.
    """
    if labels is not None and labels.shape != scores.shape:
        raise DataError(
            "the images have no list of this model's labels",
            found=f"labels of shape {labels.shape}",
            expected=f"a line `name label label ...` for each image, labels 0 to {scores.shape[1] - 1}",
            advice="use the label file that belongs to this model",
        )
    known = None if labels is None else labels.astype(np.bool_)
    return LabelOutcomes(tuple(ids), known, np.array(scores, np.float32), threshold(kind))
