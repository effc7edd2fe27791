"""What an image file is, before it is made to fit: the work of one checking process."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from quantize.data.containers.source import ImageSource, Locator
from quantize.data.decoding.decode import decode_image
from quantize.data.decoding.unreadable import UnreadableImageError
from quantize.provenance import sha256_bytes

_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Inspection:
    """One image as it is stored.

    Attributes:
        row: Its position in the list.
        sha256: Hash of the encoded bytes, or None where they cannot be read.
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
            with Image.open(io.BytesIO(content)) as image:
                return Inspection(
                    row=row,
                    sha256=sha256_bytes(content),
                    format=image.format or "",
                    mode=image.mode,
                    width=image.width,
                    height=image.height,
                    turned=image.getexif().get(_ORIENTATION, 1) not in (0, 1),
                )
