"""The fp32 model's scores, stored on disk so that every candidate is compared with the same ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quantize.bounded_reading import read_json
from quantize.errors import DataError, RunError
from quantize.evaluation.inference import are_probabilities
from quantize.files import replaced, write_text
from quantize.models.contract import ScoreKind, Task

_VERSION = 1


@dataclass(frozen=True, eq=False)
class ScoreStore:
    """Scores of one model on N images, memory-mapped.

    Attributes:
        graph_sha256: The model that gave them.
        ids: The images, in the order of the rows.
        kind: Whether the scores are probabilities or logits.
        scores: float32 (N, classes), read-only.
        rows: Row of each id.
    """

    graph_sha256: str
    ids: tuple[str, ...]
    kind: ScoreKind
    scores: NDArray[np.float32]
    rows: dict[str, int]

    @classmethod
    def open(cls, path: Path) -> ScoreStore:
        """Map the store at ``path`` (the array; its ids are in ``path`` + ``.json``).

        Raises:
            RunError: It is absent, of another version, or the array does not fit its ids.
        """
        try:
            about = read_json(_about(path), regular=True)
            stored_bytes = path.stat().st_size
        except (OSError, ValueError) as error:
            raise RunError(
                "no stored scores", where=str(path), found=str(error), advice="evaluate fp32 again"
            ) from None
        if about.get("version") != _VERSION:
            raise RunError(
                "stored scores of another version",
                where=str(path),
                found=str(about.get("version")),
                expected=str(_VERSION),
                advice="remove the run's work folder",
            )
        ids, classes = tuple(about["ids"]), int(about["classes"])
        if stored_bytes != len(ids) * classes * 4:
            raise RunError(
                "stored scores do not fit their ids",
                where=str(path),
                found=f"{stored_bytes} bytes",
                expected=f"{len(ids) * classes * 4} bytes",
                advice="remove the run's work folder",
            )
        scores = np.memmap(path, dtype="<f4", mode="r", shape=(len(ids), classes))
        return cls(about["graph_sha256"], ids, about["kind"], scores, {name: row for row, name in enumerate(ids)})

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return int(self.scores.shape[1])

    def of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (len(ids), classes), the scores of these images in this order.

        Raises:
            DataError: An image that the model was not evaluated on.
        """
        unknown = [name for name in ids if name not in self.rows]
        if unknown:
            raise DataError(
                f"{len(unknown)} images have no fp32 scores to be compared with",
                found=", ".join(unknown[:10]),
                expected="the images that the fp32 model was evaluated on",
                advice="evaluate the fp32 model on the same images",
            )
        return np.asarray(self.scores[[self.rows[name] for name in ids]])


class ScoreWriter:
    """Takes scores a batch at a time; made by ``writing``."""

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self._ids: list[str] = []
        self._classes: int | None = None
        self._probabilities = True

    def append(self, ids: Sequence[str], scores: NDArray[np.float32]) -> None:
        """Add ``scores`` (len(ids), classes)."""
        if scores.shape[0] != len(ids) or scores.shape[1] != (self._classes or scores.shape[1]):
            raise ValueError(f"scores of shape {scores.shape} for {len(ids)} images of {self._classes} classes")
        self._classes = int(scores.shape[1])
        self._ids += ids
        self._probabilities = self._probabilities and are_probabilities(scores)
        with self._temporary.open("ab") as stream:
            stream.write(np.ascontiguousarray(scores, dtype="<f4").tobytes())

    def about(self, graph_sha256: str, declared: ScoreKind, task: Task) -> str:
        """Return the JSON that says what the rows are; those of classes that sum to 1 are their probabilities."""
        if self._classes is None:
            raise ValueError("no scores were written")
        return json.dumps(
            {
                "version": _VERSION,
                "graph_sha256": graph_sha256,
                "kind": "softmax" if self._probabilities and task != "labels" else declared,
                "classes": self._classes,
                "ids": self._ids,
            },
            ensure_ascii=False,
        )


@contextmanager
def writing(path: Path, graph_sha256: str, declared: ScoreKind, task: Task = "one class") -> Iterator[ScoreWriter]:
    """Yield a writer; on success the store appears at ``path`` as a whole, on failure nothing does.

    Args:
        path: Where the array goes; the ids go to ``path`` + ``.json``.
        graph_sha256: The model whose scores they are.
        declared: What its graph says that the scores are.
        task: What they say of an image.
    """
    with replaced(path) as temporary:
        writer = ScoreWriter(temporary)
        yield writer
        about = writer.about(graph_sha256, declared, task)
        _about(path).unlink(missing_ok=True)  # the old ids must never belong to the new rows
    write_text(_about(path), about)


def _about(path: Path) -> Path:
    return path.with_name(path.name + ".json")
