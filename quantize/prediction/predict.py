"""Predict the classes of image files, a batch at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quantize.bounded_reading import read_bounded
from quantize.data.containers.folder import list_files
from quantize.data.decoding import UnreadableImageError, decode_image
from quantize.data.image_bounds import LARGEST_FILE
from quantize.data.image_set import images_only
from quantize.data.preprocessing import Preprocessing
from quantize.errors import DataError
from quantize.evaluation.inference import label_logits, log_probabilities, open_scores, scores_of
from quantize.evaluation.label_outcomes import threshold
from quantize.evaluation.outcomes import Floats, Scores
from quantize.models.artifact import ModelArtifact, ModelContract
from quantize.models.contract import Task
from quantize.prediction.answers import Answer, LeftOut, Prediction
from quantize.progress import Progress, silent
from quantize.similar_names import did_you_mean

STANDARD_INPUT = "-"
_SHOWN = 10
_STAGE = "predict"


@dataclass(frozen=True)
class Picture:
    """An image file that has not been read yet.

    Attributes:
        name: What results call it: its path, or ``-``.
        read: Returns its encoded bytes; raises OSError where it cannot.
    """

    name: str
    read: Callable[[], bytes]


def pictures(places: Sequence[str], standard_input: Callable[[], bytes]) -> tuple[Picture, ...]:
    """Return the images in the order named; a folder stands for the image files in it and below, sorted.

    Args:
        places: Paths of files and folders; ``-`` is one image from standard input.
        standard_input: Reads it.

    Raises:
        DataError: A path does not exist, a folder holds no images, or standard input is named twice.
    """
    if not places:
        raise DataError("no images are named", expected="files, folders, or - for standard input")
    if places.count(STANDARD_INPUT) > 1:
        raise DataError("standard input is named twice", expected="- once: it holds one image")
    return tuple(picture for place in places for picture in _at(place, standard_input))


def _at(place: str, standard_input: Callable[[], bytes]) -> Iterator[Picture]:
    if place == STANDARD_INPUT:
        yield Picture(place, standard_input)
        return
    path = Path(place).expanduser()
    if not path.exists():
        expected = "an image file or a folder of images"
        raise DataError("no such image", where=place, expected=expected, advice=did_you_mean(path))
    if not path.is_dir():
        yield Picture(place, partial(read_bounded, path, LARGEST_FILE))
        return
    names, _ = images_only(list_files(path, below=True))
    if not names:
        raise DataError("no images here", where=place, expected="JPEG, PNG or other image files")
    for name in sorted(names):
        yield Picture(str(path / name), partial(read_bounded, path / name, LARGEST_FILE, regular=True))


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
        self._contract, self._preprocessing, self._names = model.contract, preprocessing, names
        self._top = min(top, model.contract.classes)
        self._session = open_scores(model, threads=threads)

    @property
    def task(self) -> Task:
        """Return what the model says of an image."""
        return self._contract.task

    def answers(self, images: Sequence[Image.Image]) -> list[tuple[tuple[Answer, ...], int]]:
        """Return the likeliest classes of each decoded image, and how many classes share its highest score.

        A model of labels gives all that it decides for, which may be none.
        """
        crops = np.stack([self._preprocessing.crop_image(image) for image in images])
        scores = scores_of(self._session, self._contract, self._preprocessing.normalize(crops))
        chances = probabilities(scores, self._contract)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._top]
        if self._contract.task == "labels":
            return [self._labels(row, own) for row, own in zip(scores, chances, strict=True)]
        tied = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1)
        return [
            (tuple(self._answer(int(label), float(row[label])) for label in labels), int(count))
            for row, labels, count in zip(chances, order, tied, strict=True)
        ]

    def _labels(self, scores: Scores, chances: Floats) -> tuple[tuple[Answer, ...], int]:
        """Return the labels of one image, the likeliest first, and 1 more than there are at exactly the threshold."""
        middle = threshold(self._contract.scores)
        given = [int(label) for label in np.argsort(-scores, kind="stable") if scores[label] > middle]
        return tuple(self._answer(label, float(chances[label])) for label in given), 1 + int((scores == middle).sum())

    def _answer(self, label: int, probability: float) -> Answer:
        return Answer(label=label, name=self._names[label] if self._names else None, probability=probability)


def probabilities(scores: NDArray[np.float32], contract: ModelContract) -> NDArray[np.float64]:
    """Return float64 (N, classes): the scores of a model that ends in a softmax, else their softmax.

    Each label's chance is by itself: the score of a Sigmoid, or that of the logit.
    """
    if contract.task == "labels":
        return np.asarray(1 / (1 + np.exp(-label_logits(scores, contract.scores))))
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
        progress: Called after every batch.

    Raises:
        DataError: Images cannot be read: the first ten and the count.
    """
    predicted: list[Prediction] = []
    left_out: list[LeftOut] = []
    waiting = iter(pictures)
    done = 0
    while batch := list(itertools.islice(waiting, batch_size)):
        images: dict[int, Image.Image] = {}
        for position, picture in enumerate(batch):
            try:
                images[position] = decode_image(picture.read())
            except UnreadableImageError as error:
                left_out.append(LeftOut(image=picture.name, reason=str(error)))
            except OSError as error:
                left_out.append(LeftOut(image=picture.name, reason=error.strerror or str(error)))
        if images and (skip_unreadable or not left_out):
            answers = model.answers([*images.values()])
            compared = None if other is None else other.answers([*images.values()])
            predicted += [
                Prediction(
                    image=batch[position].name,
                    answers=answers[row][0],
                    tied=answers[row][1],
                    compared=None if compared is None else compared[row][0],
                    task=model.task,
                )
                for row, position in enumerate(images)
            ]
        done += len(batch)
        progress(_STAGE, done, len(pictures))
    if left_out and (not skip_unreadable or not predicted):
        raise _unreadable(left_out)
    return tuple(predicted), tuple(left_out)


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
