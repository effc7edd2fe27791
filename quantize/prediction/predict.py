"""From images to the classes that a model names, a batch at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quantize.data.decoding.decode import decode_image
from quantize.data.decoding.unreadable import UnreadableImageError
from quantize.data.preprocessing import Preprocessing
from quantize.errors import DataError
from quantize.evaluation.inference import log_probabilities, scores_of
from quantize.models.artifact import ModelArtifact, ModelContract
from quantize.models.session import open_session
from quantize.prediction.answers import Answer, LeftOut, Prediction
from quantize.prediction.pictures import Picture
from quantize.progress import Progress, silent

_SHOWN = 10
_STAGE = "predict"


@dataclass(frozen=True)
class Answers:
    """What a model said about one image: its best classes, and how many share the highest score."""

    best: tuple[Answer, ...]
    tied: int


class Predictor:
    """A model with its preprocessing and class names, ready to run.

    Args:
        model: The model, fp32 or quantized.
        preprocessing: How an image becomes its input, sizes decided.
        names: Its classes' names, or None.
        top: How many answers to give.
        threads: Threads of the session.

    Raises:
        ModelError: onnxruntime cannot load the model.
    """

    def __init__(
        self,
        model: ModelArtifact,
        preprocessing: Preprocessing,
        *,
        names: Sequence[str] | None = None,
        top: int = 5,
        threads: int = 1,
    ) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self._names = names
        self._top = min(top, model.contract.classes)
        self._session = open_session(model.path, threads=threads)

    def crop(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the uint8 (side, side, 3) crop of a decoded image."""
        return self.preprocessing.crop_image(image)

    def answers(self, crops: NDArray[np.uint8]) -> list[Answers]:
        """Return what the model says about crops, uint8 (N, side, side, 3)."""
        scores = scores_of(self._session, self.model.contract, self.preprocessing.normalize(crops))
        chances = probabilities(scores, self.model.contract)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._top]
        tied = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1)
        return [
            Answers(tuple(self._answer(int(label), float(row[label])) for label in labels), int(count))
            for row, labels, count in zip(chances, order, tied, strict=True)
        ]

    def _answer(self, label: int, probability: float) -> Answer:
        return Answer(label=label, name=self._names[label] if self._names else None, probability=probability)


def probabilities(scores: NDArray[np.float32], contract: ModelContract) -> NDArray[np.float64]:
    """Return float64 (N, classes): the scores of a model that ends in a softmax, else their softmax."""
    if contract.scores == "softmax":
        return scores.astype(np.float64)
    return np.exp(log_probabilities(scores, "logits"))


def predictions(
    pictures: Sequence[Picture],
    model: Predictor,
    *,
    other: Predictor | None = None,
    batch_size: int = 16,
    skip_unreadable: bool = False,
    progress: Progress = silent,
) -> tuple[tuple[Prediction, ...], tuple[LeftOut, ...]]:
    """Return what a model says about images, and the images that could not be read; one batch is in memory.

    Args:
        pictures: The images.
        model: The model.
        other: A model to compare with; it gets images with its own preprocessing.
        batch_size: Images run at once.
        skip_unreadable: Go on without images that cannot be read.
        progress: Told how many images are done.

    Raises:
        DataError: Images cannot be read: the first ten and the count.
    """
    found: list[Prediction] = []
    left_out: list[LeftOut] = []
    done = 0
    for group in _groups(pictures, batch_size):
        images: list[tuple[str, Image.Image]] = []
        for picture in group:
            try:
                images.append((picture.name, decode_image(picture.read())))
            except UnreadableImageError as error:
                left_out.append(LeftOut(image=picture.name, reason=str(error)))
            except OSError as error:
                left_out.append(LeftOut(image=picture.name, reason=error.strerror or str(error)))
        if images and (skip_unreadable or not left_out):
            found += _predicted(images, model, other)
        done += len(group)
        progress(_STAGE, done, len(pictures))
    if left_out and (not skip_unreadable or not found):
        raise _unreadable(left_out)
    return tuple(found), tuple(left_out)


def _predicted(
    images: Sequence[tuple[str, Image.Image]], model: Predictor, other: Predictor | None
) -> list[Prediction]:
    own = model.answers(np.stack([model.crop(image) for _, image in images]))
    others = None if other is None else other.answers(np.stack([other.crop(image) for _, image in images]))
    return [
        Prediction(
            image=name,
            answers=own[row].best,
            tied=own[row].tied,
            compared=None if others is None else others[row].best,
        )
        for row, (name, _) in enumerate(images)
    ]


def _groups(pictures: Sequence[Picture], size: int) -> Iterator[list[Picture]]:
    rest = iter(pictures)
    while group := list(itertools.islice(rest, size)):
        yield group


def _unreadable(left_out: Sequence[LeftOut]) -> DataError:
    listed = "; ".join(f"{image.image}: {image.reason}" for image in left_out[:_SHOWN])
    more = f"; and {len(left_out) - _SHOWN:,} more" if len(left_out) > _SHOWN else ""
    return DataError(
        f"{len(left_out):,} images cannot be read" if len(left_out) > 1 else "the image cannot be read",
        where=left_out[0].image,
        found=listed + more,
        expected="JPEG, PNG or other image files",
        advice="name others, or go on without them (--skip_unreadable)",
    )
