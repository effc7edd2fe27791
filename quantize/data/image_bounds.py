"""Open an image file of a stranger's: what its pixels would take is known before one is decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

LARGEST_FILE = 1 << 28
"""Bytes of one encoded image."""

LARGEST_DECODED = 1 << 30
"""Bytes that decoding one image may take, all copies together: 134 million pixels in RGB."""

_LONGEST_SIDE = 65_535  # JPEG's limit; Pillow keeps an address of 8 bytes for each row besides
_MOST_SCANS = 100  # of a progressive JPEG, each of which goes over all pixels; encoders write about ten
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of what ``is_image_name`` takes. Others are not tried: EPS would run Ghostscript on the file."""

# Bytes a pixel while an image becomes upright RGB: Pillow takes 4 for most modes, and each conversion is a copy.
_TURNED_RGB = 8
_OTHER_MODES = 16
_WITH_TRANSPARENCY = 24


class ImageBoundError(ValueError):
    """An image would take more than any image of a data set should."""


@contextmanager
def opened_image(content: bytes) -> Iterator[Image.Image]:
    """Yield the image in a file's bytes, not decoded yet, of a size that can be decoded.

    Raises:
        ImageBoundError: Its pixels, its sides or its scans are too many.
        UnidentifiedImageError: The bytes are none of the formats that data sets have.
    """
    if len(content) > LARGEST_FILE:
        raise ImageBoundError(f"{len(content):,} bytes are more than an image has")
    with Image.open(io.BytesIO(content), formats=[name for name in _FORMATS if name in _known()]) as image:
        _check(image, content)
        yield image


def _known() -> set[str]:
    Image.init()
    return set(Image.OPEN)


def _check(image: Image.Image, content: bytes) -> None:
    width, height = image.size
    if max(width, height) > _LONGEST_SIDE:
        raise ImageBoundError(f"{width} x {height} pixels: a side is longer than {_LONGEST_SIDE:,}")
    pixel = _TURNED_RGB if image.mode == "RGB" else _OTHER_MODES
    if image.has_transparency_data:
        pixel = _WITH_TRANSPARENCY
    if width * height * pixel > LARGEST_DECODED:
        raise ImageBoundError(f"{width} x {height} pixels of mode {image.mode} would take too much memory")
    if image.format in ("JPEG", "MPO") and content.count(b"\xff\xda") > _MOST_SCANS:
        raise ImageBoundError(f"a JPEG of more than {_MOST_SCANS} scans")
