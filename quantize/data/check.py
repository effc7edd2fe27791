"""Checks of a data set: counts, image modes, unreadable images, duplicates, calibration images in evaluation."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from quantize.data.chunks import map_chunks
from quantize.data.crops.crops import Skipped
from quantize.data.decoding import UnreadableImageError, decode_image
from quantize.data.image_bounds import opened_image
from quantize.data.image_set import ImageSet, ImageSource, Label, Locator
from quantize.progress import Progress, silent
from quantize.provenance import sha256_bytes

_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Inspection:
    """One image as it is stored.

    Attributes:
        row: Its position in the list.
        sha256: Hash of the encoded bytes, or None if they cannot be read.
        reason: Why the image is unreadable, or None; the fields below are set for readable ones.
        format: Pillow's name of the file format.
        mode: Pillow's mode: RGB, L, CMYK, P, I;16 and so on.
        width: Pixels, as stored.
        height: Pixels, as stored.
        turned: Whether EXIF says that the image is stored on its side, mirrored or upside down.
    """

    row: int
    sha256: str | None
    reason: str | None = None
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    turned: bool = False


@dataclass(frozen=True)
class InspectionJob:
    """Inspects and decodes images of one source; callable in any process."""

    source: ImageSource

    def __call__(self, images: Sequence[tuple[int, Locator]]) -> list[Inspection]:
        """Return the inspections of some (row, locator) pairs."""
        return [self._inspect(row, locator) for row, locator in images]

    def _inspect(self, row: int, locator: Locator) -> Inspection:
        try:
            content = self.source.read(locator)
        except OSError as error:
            return Inspection(row, None, error.strerror or str(error))
        try:
            decode_image(content)
        except UnreadableImageError as error:
            return Inspection(row, sha256_bytes(content), str(error))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opened_image(content) as image:
                return Inspection(
                    row=row,
                    sha256=sha256_bytes(content),
                    format=image.format or "",
                    mode=image.mode,
                    width=image.width,
                    height=image.height,
                    turned=image.getexif().get(_ORIENTATION, 1) not in (0, 1),
                )


_CHECKING = "check images"


@dataclass(frozen=True)
class Duplicate:
    """Images whose files hold the same bytes.

    Attributes:
        ids: Their names.
        labels: Their labels, without repetition; more than one is a contradiction. Empty without labels.
    """

    ids: tuple[str, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class DataCheck:
    """What was found in a data set.

    Attributes:
        place: The data, as the user named it.
        images: Number of images listed.
        class_counts: (label, images of it), sorted by label; empty without labels.
        notes: What was left out or decided while listing.
        unreadable: Images that cannot be decoded.
        formats: (file format, readable images of it), the most frequent first.
        modes: (Pillow's mode, readable images of it), the most frequent first.
        converted: (image, mode) of those that are not 8-bit RGB; they are converted when loaded.
        turned: Images that EXIF says lie rotated; they are turned upright when loaded.
        shortest_side: Pixels of the shortest side of all readable images, or None if no image is readable.
        duplicates: Groups of images with the same bytes.
        calibration: Number of calibration images, or None if none were named.
        calibration_in_evaluation: Evaluation images that are calibration images, or have the same bytes as one.
    """

    place: str
    images: int
    class_counts: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    unreadable: tuple[Skipped, ...]
    formats: tuple[tuple[str, int], ...]
    modes: tuple[tuple[str, int], ...]
    converted: tuple[tuple[str, str], ...]
    turned: tuple[str, ...]
    shortest_side: int | None
    duplicates: tuple[Duplicate, ...]
    calibration: int | None
    calibration_in_evaluation: tuple[str, ...]

    @property
    def contradictions(self) -> tuple[Duplicate, ...]:
        """Duplicates that have different labels: at most one of them is right."""
        return tuple(duplicate for duplicate in self.duplicates if len(duplicate.labels) > 1)

    @property
    def sound(self) -> bool:
        """Whether figures measured on this data can be trusted as far as can be seen."""
        return not (self.unreadable or self.contradictions or self.calibration_in_evaluation)


def check_data(
    images: ImageSet,
    *,
    calibration: Collection[str] | None = None,
    in_evaluation: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> DataCheck:
    """Read, hash and decode every image once, and return what was found.

    Args:
        images: The data set.
        calibration: Ids of the calibration images; all others evaluate. None if they are not fixed.
        in_evaluation: Whether the calibration images evaluate too.
        workers: Number of processes; None: as many as CPUs, fewer for few images.
        progress: Called with the number of images checked.

    Raises:
        DataError: A worker process died.
    """
    total = len(images)
    inspections: list[Inspection] = []
    progress(_CHECKING, 0, total)
    for done in map_chunks(InspectionJob(images.source), images, range(total), workers):
        inspections += done
        progress(_CHECKING, len(inspections), total)
    inspections.sort(key=lambda inspection: inspection.row)
    ids = [record.id for record in images.records]
    readable = [inspection for inspection in inspections if inspection.reason is None]
    return DataCheck(
        place=images.place,
        images=total,
        class_counts=tuple(sorted(Counter(label for record in images.records for label in record.labels).items())),
        notes=images.notes,
        unreadable=tuple(Skipped(ids[image.row], image.reason) for image in inspections if image.reason is not None),
        formats=tuple(Counter(image.format for image in readable).most_common()),
        modes=tuple(Counter(image.mode for image in readable).most_common()),
        converted=tuple((ids[image.row], image.mode) for image in readable if image.mode != "RGB"),
        turned=tuple(ids[image.row] for image in readable if image.turned),
        shortest_side=min((min(image.width, image.height) for image in readable), default=None),
        duplicates=_duplicates(images, inspections),
        calibration=None if calibration is None else len(calibration),
        calibration_in_evaluation=_leaks(ids, inspections, calibration or (), in_evaluation=in_evaluation),
    )


def _duplicates(images: ImageSet, inspections: list[Inspection]) -> tuple[Duplicate, ...]:
    rows: dict[str, list[int]] = defaultdict(list)
    for image in inspections:
        if image.sha256 is not None:
            rows[image.sha256].append(image.row)
    return tuple(
        Duplicate(
            ids=tuple(images.records[row].id for row in group),
            labels=tuple(sorted({own for row in group if (own := images.records[row].label) is not None}, key=_order)),
        )
        for group in rows.values()
        if len(group) > 1
    )


def _order(label: Label) -> tuple[int, ...]:
    return label if isinstance(label, tuple) else (label,)


def _leaks(
    ids: list[str], inspections: list[Inspection], calibration: Collection[str], *, in_evaluation: bool
) -> tuple[str, ...]:
    chosen = set(calibration)
    contents = {image.sha256 for image in inspections if ids[image.row] in chosen} - {None}
    return tuple(
        ids[image.row]
        for image in inspections
        if (in_evaluation if ids[image.row] in chosen else image.sha256 in contents)
    )
