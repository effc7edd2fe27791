"""What a container holds, before labels are joined to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from quantize.data.containers.source import ImageSource, Locator
from quantize.data.image_set import ImageRecord, ImageSet

_IMAGE_NAME = re.compile(r".*\.(avif|bmp|gif|jfif|jp2|jpe|jpeg|jpg|pbm|pgm|png|pnm|ppm|tif|tiff|webp)", re.I | re.S)


def is_image_name(name: str) -> bool:
    """Return whether a name ends as an image's does."""
    return _IMAGE_NAME.fullmatch(name) is not None


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

    def image_set(self, labels: dict[str, int] | None, *notes: str, places: dict[str, str] | None = None) -> ImageSet:
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
