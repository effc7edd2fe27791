"""Images in portions for worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from quantize.data.containers.source import Locator
from quantize.data.image_set import ImageSet

_IMAGES_PER_CHUNK = 16


def in_storage_order(images: ImageSet, rows: Iterable[int]) -> Iterator[list[tuple[int, Locator]]]:
    """Yield (row, locator) pairs of some images, 16 at a time, in the order in which their container holds them."""
    ordered = iter(sorted(rows, key=lambda row: images.records[row].locator))
    while chunk := [(row, images.records[row].locator) for row in islice(ordered, _IMAGES_PER_CHUNK)]:
        yield chunk
