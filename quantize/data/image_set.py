"""A list of images with their labels, wherever their bytes are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from quantize.data.containers.source import ImageSource, Locator
from quantize.provenance import fingerprint, sha256_bytes


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image.

    Attributes:
        id: Its name within the data: a path relative to the folder, an archive member, a row.
        label: Its class, or None where the data has no labels.
        locator: Where the source finds its bytes.
        place: File and line that name it, such as ``val.txt:17``, where a file does.
    """

    id: str
    label: int | None
    locator: Locator = field(repr=False)
    place: str | None = None

    @property
    def where(self) -> str:
        """The name that an error gives: the line that lists the image, and the image."""
        return self.id if self.place is None else f"{self.place}: {self.id}"


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order; all of them have a label, or none has.

    Attributes:
        place: The folder or file that they come from, as the user named it.
        records: The images, sorted by id.
        source: What reads their bytes.
        notes: What was left out or decided while listing, in sentences for the report.
    """

    place: str
    records: tuple[ImageRecord, ...]
    source: ImageSource
    notes: tuple[str, ...] = ()

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
