"""Per-image outcomes of a model: the rank of the true class, and its ties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from quantize.errors import DataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_CHUNK = 1024  # rows compared at a time: bounds the boolean temporaries at 1 MB for 1,000 classes

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Scores = NDArray[np.floating[Any]]


PerImage = TypeVar("PerImage", bound="DataclassInstance")


def take(values: PerImage, indices: Sequence[int] | Integers) -> PerImage:
    """Return a dataclass of values by image with those of the images at ``indices`` only, in that order.

    Its arrays and tuples have N values each; whatever else it holds is of all images.
    """
    at = np.asarray(indices, dtype=np.int64)
    return replace(values, **{field.name: _picked(getattr(values, field.name), at) for field in fields(values)})


def concatenate(parts: Iterable[PerImage]) -> PerImage:
    """Return the values of disjoint sets of images as one dataclass.

    Raises:
        ValueError: No part, an image in two parts, or parts that do not hold the same, such as labels in some only.
    """
    first, *others = parts
    return replace(
        first,
        **{field.name: _joined([getattr(part, field.name) for part in (first, *others)]) for field in fields(first)},
    )


def freeze(array: NDArray[Any], n: int) -> None:
    """Make an array of one value an image read-only.

    Raises:
        ValueError: It has not ``n`` values.
    """
    if array.shape != (n,):
        raise ValueError(f"an array of shape {array.shape} for {n} images")
    array.flags.writeable = False


def check_ids(ids: Sequence[str]) -> int:
    """Return how many images there are.

    Raises:
        ValueError: There is none, or one twice.
    """
    if not ids:
        raise ValueError("outcomes of no image")
    if len(set(ids)) != len(ids):
        raise ValueError("an image id occurs twice")
    return len(ids)


def _picked(value: Any, at: Integers) -> Any:
    if isinstance(value, tuple):
        return tuple(value[index] for index in at)
    return value[at] if isinstance(value, np.ndarray) else value


def _joined(values: list[Any]) -> Any:
    if all(isinstance(value, tuple) for value in values):
        return tuple(item for value in values for item in value)
    if all(isinstance(value, np.ndarray) for value in values):
        return np.concatenate(values)
    if any(isinstance(value, np.ndarray) or value != values[0] for value in values):
        raise ValueError("parts that do not hold the same: labels in some only, or other scores")
    return values[0]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What one model answered on each of N images, N > 0.

    Attributes:
        ids: The images, unique, in the order of every array here.
        labels: int64 (N,), the true classes; None without labels.
        rank: int64 (N,), the number of classes scored strictly higher than the true one; None without labels.
        ties: int64 (N,), the number of other classes with exactly the true one's score; None without labels.
        prediction: int64 (N,), the first class with the highest score.
        tied_top: int64 (N,), the number of classes that share the highest score (1: no tie).
        margin: float64 (N,), the highest score minus the next class's (0 at a tie), in the model's own unit.

    Raises:
        ValueError: No image, an id twice, or arrays of different lengths.
    """

    ids: tuple[str, ...]
    labels: Integers | None
    rank: Integers | None
    ties: Integers | None
    prediction: Integers
    tied_top: Integers
    margin: Floats

    def __post_init__(self) -> None:
        n = check_ids(self.ids)
        if (self.labels is None) != (self.rank is None) or (self.labels is None) != (self.ties is None):
            raise ValueError("labels, rank and ties are there together or not at all")
        for array in (self.labels, self.rank, self.ties, self.prediction, self.tied_top, self.margin):
            if array is not None:
                freeze(array, n)

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    @property
    def tied(self) -> NDArray[np.bool_]:
        """Return bool (N,), the images on which two or more classes share the highest score."""
        shared: NDArray[np.bool_] = self.tied_top > 1
        return shared

    @property
    def labelled(self) -> bool:
        """Return whether the true classes are known."""
        return self.labels is not None

    def require_labels(self) -> tuple[Integers, Integers, Integers]:
        """Return (labels, rank, ties).

        Raises:
            DataError: There are no labels.
        """
        if self.labels is None or self.rank is None or self.ties is None:
            raise DataError(
                "accuracy needs labels, and these images have none",
                expected="a label for every image",
                advice="give --label_path, or decide by agreement with the fp32 model",
            )
        return self.labels, self.rank, self.ties


def outcomes_of(ids: Sequence[str], scores: Scores, labels: Integers | None) -> Outcomes:
    """Return the outcomes of finite ``scores`` (N, classes); ``labels`` (N,) in 0 … classes-1, or None.

    Raises:
        DataError: A label that is no class of the model.
    """
    n, classes = scores.shape
    columns = {
        name: np.empty(n, np.int64)
        for name in ("prediction", "tied_top", *(() if labels is None else ("rank", "ties")))
    }
    margin = np.empty(n, np.float64)
    if labels is not None:
        _check_labels(ids, labels, classes)
    for start in range(0, n, _CHUNK):
        rows = slice(start, min(start + _CHUNK, n))
        part = scores[rows]
        top = part.max(axis=1, keepdims=True)
        columns["prediction"][rows] = part.argmax(axis=1)
        columns["tied_top"][rows] = (part == top).sum(axis=1)
        margin[rows] = _margins(part)
        if labels is not None:
            true = np.take_along_axis(part, labels[rows, np.newaxis], axis=1)
            columns["rank"][rows] = (part > true).sum(axis=1)
            columns["ties"][rows] = (part == true).sum(axis=1) - 1
    return Outcomes(
        ids=tuple(ids),
        labels=None if labels is None else labels.astype(np.int64),
        rank=columns.get("rank"),
        ties=columns.get("ties"),
        prediction=columns["prediction"],
        tied_top=columns["tied_top"],
        margin=margin,
    )


def _margins(scores: Scores) -> Floats:
    if scores.shape[1] < 2:
        return np.zeros(len(scores))
    second, first = np.partition(scores, -2, axis=1)[:, -2:].astype(np.float64).T
    margins: Floats = first - second
    return margins


def _check_labels(ids: Sequence[str], labels: Integers, classes: int) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DataError(
            f"{len(wrong)} labels are no class of the model",
            found=", ".join(f"{ids[i]}: {labels[i]}" for i in wrong[:10]),
            expected=f"0 to {classes - 1}",
            advice="use the label file that belongs to this model",
        )
