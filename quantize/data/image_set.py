"""A list of images with labels, independent of where their bytes are stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from quantize.errors import DataError
from quantize.progress import Progress, silent
from quantize.provenance import fingerprint, sha256_bytes
from quantize.quoting import is_text, quoted

_IMAGE_NAME = re.compile(r".*\.(avif|bmp|gif|jfif|jp2|jpe|jpeg|jpg|pbm|pgm|png|pnm|ppm|tif|tiff|webp)", re.I | re.S)

Label = int | tuple[int, ...]
"""An image's class, or the labels that it has."""

# Where an image lies in its container: a path, an offset and a length, a row group and a row. Sorted locators are in
# storage order. Only the source that made a locator reads it.
Locator = tuple[str | int, ...]


class ImageSource(Protocol):
    """A container of encoded images; it is pickled into worker processes and opens its files there."""

    def read(self, locator: Locator) -> bytes:
        """Return an image's encoded bytes.

        Raises:
            OSError: They cannot be read.
        """
        ...

    def state(self, locator: Locator) -> tuple[int, ...]:
        """Return numbers that change when the image's bytes do, without reading them (size and times of a file).

        Raises:
            OSError: The file is gone.
        """
        ...


def file_state(path: Path) -> tuple[int, ...]:
    """Return a file's size and its times: the change time cannot be set back as the modification time can."""
    status = path.stat()
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image.

    Attributes:
        id: Its name within the data: a path relative to the folder, an archive member, a row.
        label: Its class, or its labels; None if the data has no labels.
        locator: Where the source finds its bytes.
        place: File and line that name it, such as ``val.txt:17``, where a file does.
    """

    id: str
    label: Label | None
    locator: Locator = field(repr=False)
    place: str | None = None

    @property
    def where(self) -> str:
        """The name that an error gives: the line that lists the image, and the image."""
        return self.id if self.place is None else f"{self.place}: {self.id}"

    @property
    def labels(self) -> tuple[int, ...]:
        """The image's labels, or its one class; none without labels."""
        if self.label is None:
            return ()
        return self.label if isinstance(self.label, tuple) else (self.label,)


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order; all of them have a label, or none has.

    Attributes:
        place: The folder or file that they come from, as the user named it.
        records: The images, sorted by id.
        source: What reads their bytes.
        notes: What was left out or decided while listing, in sentences for the report.
        label_count: How many labels there are, of which an image may have several; None: an image has one class.
    """

    place: str
    records: tuple[ImageRecord, ...]
    source: ImageSource
    notes: tuple[str, ...] = ()
    label_count: int | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.records)

    @property
    def labelled(self) -> bool:
        """Whether the images have labels."""
        return bool(self.records) and self.records[0].label is not None

    def read(self, index: int) -> bytes:
        """Return the encoded bytes of one image.

        Raises:
            OSError: They cannot be read.
        """
        return self.source.read(self.records[index].locator)

    def subset(self, indices: Iterable[int]) -> ImageSet:
        """Return the images at these positions, in this order."""
        return replace(self, records=tuple(self.records[index] for index in indices))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the ids, labels, sizes and contents of the encoded images; reads each of them once."""
        lines = []
        for index, record in enumerate(self.records):
            content = self.read(index)
            lines.append([record.id, record.label, len(content), sha256_bytes(content)])
        return fingerprint(sorted(lines, key=lambda line: str(line[0])))


@dataclass(frozen=True)
class NamedData:
    """What the user named as data, for whatever opens it.

    Attributes:
        place: The images, as the user named them.
        label_path: A label file or the devkit, which then decides; None: the container's own labels count.
        classes: The model's number of classes; None if it is not known.
        several: Whether an image may have several labels; None: its label file shows it.
        progress: Called with the number of archive members listed.
    """

    place: str
    label_path: Path | None
    classes: int | None
    several: bool | None = False
    progress: Progress = silent


def is_image_name(name: str) -> bool:
    """Return whether a name ends as an image's does."""
    return _IMAGE_NAME.fullmatch(name) is not None


def images_only(names: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the names that end as an image's does, and a note on the others, if any.

    Raises:
        DataError: The name of an image is not UTF-8: no report could hold it.
    """
    images: list[str] = []
    others: list[str] = []
    for name in names:
        (images if is_image_name(name) else others).append(name)
    strange = [name for name in images if not is_text(name)]
    if strange:
        raise DataError(
            "the name of an image is not UTF-8 text",
            found=f"{len(strange):,}, such as {quoted(strange[0])}",
            expected="names in UTF-8",
            advice="rename it",
        )
    if not others:
        return images, ()
    named = ", ".join(map(quoted, sorted(others)[:3])) + (", …" if len(others) > 3 else "")
    return images, (f"skipped, not named as images: {len(others):,} ({named})",)


@dataclass(frozen=True)
class Listing:
    """The images of a container, by name.

    Attributes:
        place: The container, as the user named it.
        source: What reads the images.
        locators: Where each image is, by its name (a path with ``/``, relative to the container).
        notes: What was passed over.
    """

    place: str
    source: ImageSource
    locators: dict[str, Locator]
    notes: tuple[str, ...] = ()

    def image_set(
        self, labels: Mapping[str, Label] | None, *notes: str, places: dict[str, str] | None = None
    ) -> ImageSet:
        """Return the named images with their labels, sorted by name; all images, without labels, for None."""
        names = sorted(self.locators if labels is None else labels)
        records = tuple(
            ImageRecord(
                id=name,
                label=None if labels is None else labels[name],
                locator=self.locators[name],
                place=None if places is None else places[name],
            )
            for name in names
        )
        return ImageSet(self.place, records, self.source, (*self.notes, *notes))
