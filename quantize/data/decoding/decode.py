"""From a file's bytes to an image that stands upright."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

from PIL import Image, ImageOps, UnidentifiedImageError

from quantize.data.decoding.rgb import to_rgb
from quantize.data.decoding.unreadable import UnreadableImageError

# What Pillow's readers raise on files that are no images, or broken ones.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode_image(content: bytes) -> Image.Image:
    """Return the image in a file's bytes, upright (its EXIF orientation applied), in mode RGB.

    Args:
        content: The bytes of a JPEG, PNG or any other file that Pillow reads.

    Raises:
        UnreadableImageError: The bytes are no image, are cut off, or hold pixels of no known range.
    """
    if not content:
        raise UnreadableImageError("the file is empty")
    try:
        # Pillow warns of damaged EXIF blocks and of large images; neither changes the pixels.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                _stand_upright(image)
                return to_rgb(image)
    except UnidentifiedImageError:
        raise UnreadableImageError("not an image file") from None
    except _BROKEN as error:
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def _stand_upright(image: Image.Image) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except _BROKEN:
        # A damaged EXIF block says nothing of the orientation; the pixels are there.
        return
