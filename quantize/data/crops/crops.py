"""Images decoded once by worker processes and kept as uint8 crops for every later pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.data.crops.cache import locked
from quantize.data.crops.fill import fill_crops
from quantize.data.crops.rows import CropFile, CropRows
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.data.problems import Problems
from quantize.disk import storage_error
from quantize.progress import Progress, silent
from quantize.provenance import fingerprint, sha256_bytes

_MARK = 12


@dataclass(frozen=True)
class Skipped:
    """An image that could not be decoded, and why."""

    id: str
    reason: str


@dataclass(frozen=True, eq=False)
class Crops:
    """Images after resize and crop, before normalization.

    Attributes:
        ids: The images' names.
        labels: (N,) int64; where images may have several, (N, labels) uint8, 1 for those that they have; None if the
            data has no labels.
        array: (N, H, W, C) uint8, RGB or grey; indexing reads only the requested rows of a memory-mapped file.
        digests: SHA-256 of each crop's bytes.
        crop_fingerprint: Of the preprocessing that made them.
        skipped: Images of the data that could not be decoded.
    """

    ids: tuple[str, ...]
    labels: npt.NDArray[Any] | None
    array: CropRows
    digests: tuple[str, ...]
    crop_fingerprint: str
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.ids)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the crops' contents and labels, whatever their names, order and container."""
        labels = [None] * len(self) if self.labels is None else self.labels.tolist()
        pairs = sorted(zip(self.digests, labels, strict=True), key=str)
        return fingerprint([list(self.array.shape[1:]), pairs])

    @property
    def marks(self) -> tuple[str, ...]:
        """What tells each crop from all others, whatever its name: 12 hexadecimal digits of its hash.

        Of 50,000 images and 1,000 known ones, two that differ have the same with a probability below 1 in 5,000,000.
        """
        return tuple(digest[:_MARK] for digest in self.digests)

    def subset(self, indices: Sequence[int]) -> Crops:
        """Return the crops at these positions, in this order; nothing is read."""
        chosen = [int(index) for index in indices]
        return replace(
            self,
            ids=tuple(self.ids[index] for index in chosen),
            labels=None if self.labels is None else self.labels[chosen],
            array=self.array.subset(chosen),
            digests=tuple(self.digests[index] for index in chosen),
        )

    @classmethod
    def from_array(
        cls,
        ids: Sequence[str],
        array: npt.NDArray[np.uint8],
        labels: Sequence[int] | None,
        preprocessing: Preprocessing,
    ) -> Crops:
        """Return crops that are in memory: ``array`` is (N, H, W, C) uint8, RGB or grey."""
        return cls(
            ids=tuple(ids),
            labels=None if labels is None else np.asarray(labels, dtype=np.int64),
            array=CropRows(array, np.arange(len(array))),
            digests=tuple(sha256_bytes(crop.tobytes()) for crop in array),
            crop_fingerprint=preprocessing.crop_fingerprint,
        )


def crop_images(
    images: ImageSet,
    preprocessing: Preprocessing,
    cache: Path,
    *,
    workers: int | None = None,
    skip_unreadable: bool = False,
    progress: Progress = silent,
) -> Crops:
    """Return the crops of all images, from the cache if it holds them, else decoded by worker processes.

    A crop in the cache is used when the encoded image has the size and times that it had when it was decoded, the
    decoder is the same, and the crop's hash is right; any other is decoded (again). Memory does not grow with the
    number of images. Two runs that ask for the same crops at once decode them once.

    Args:
        images: The images.
        preprocessing: With its sizes decided (``for_input_size``).
        cache: Folder for the crops, made when missing.
        workers: Number of processes; None: as many as CPUs, fewer for few images. 1 decodes in this process.
        skip_unreadable: Go on without images that cannot be decoded; they are in ``Crops.skipped``.
        progress: Called with the number of images decoded.

    Raises:
        DataError: An image is unreadable (the first ten and the count), all are, or the disk has not the space.
        StorageError: The cache cannot be written.
    """
    shape = (len(images), preprocessing.side, preprocessing.side, preprocessing.channels)
    locators = [list(record.locator) for record in images.records]
    place = str(Path(images.place).absolute())
    key = fingerprint([place, locators, preprocessing.crop_fingerprint])[:32]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache, key, progress) as path:
            digests, reasons = fill_crops(images, preprocessing, path, workers=workers, progress=progress)
            crops = CropFile(path, shape)
    except OSError as error:
        raise storage_error(error, cache) from error
    _refuse_unreadable(images, reasons, skip_unreadable=skip_unreadable)
    good = [row for row, digest in enumerate(digests) if digest is not None]
    return Crops(
        ids=tuple(images.records[row].id for row in good),
        labels=_labels(images, good) if images.labelled else None,
        array=CropRows(crops, np.array(good, dtype=np.int64)),
        digests=tuple(digest for digest in digests if digest is not None),
        crop_fingerprint=preprocessing.crop_fingerprint,
        skipped=tuple(Skipped(images.records[row].id, reason) for row, reason in sorted(reasons.items())),
    )


def _labels(images: ImageSet, rows: Sequence[int]) -> npt.NDArray[Any]:
    if images.label_count is None:
        return np.array([images.records[row].label for row in rows], dtype=np.int64)
    given = np.zeros((len(rows), images.label_count), np.uint8)
    for place, row in enumerate(rows):
        given[place, list(images.records[row].labels)] = 1
    return given


def _refuse_unreadable(images: ImageSet, reasons: Mapping[int, str], *, skip_unreadable: bool) -> None:
    if not reasons or (skip_unreadable and len(reasons) < len(images)):
        return
    problems = Problems()
    for row, reason in reasons.items():
        problems.add(row, images.records[row].where, f"unreadable image: {reason}")
    problems.raise_any(
        images.place,
        expected="images that can be decoded",
        advice="replace them" if skip_unreadable else "replace them, or go on without them (--skip_unreadable)",
    )
