"""Decode an image file to the model's square of pixels: upright, RGB, resized, cropped."""

from __future__ import annotations

import struct
import warnings
import zlib
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from quantize.data.image_bounds import opened_image


class UnreadableImageError(Exception):
    """An image cannot be decoded or cropped; the message is the reason, in a few words."""


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
        content: The bytes of a JPEG, PNG or another file of the formats that data sets have.

    Raises:
        UnreadableImageError: The bytes are no image, are cut off, hold pixels of no known range, or would take too
            much memory: see ``image_bounds``.
    """
    if not content:
        raise UnreadableImageError("the file is empty")
    try:
        # Pillow warns of damaged EXIF blocks and of large images; neither changes the pixels.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opened_image(content) as image:
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


_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in mode RGB, 8 bits a channel.

    16-bit grey is scaled (the high byte is kept, as Pillow does for 16-bit colour; its own conversion of grey clips at
    255). Transparent pixels, of palettes too, are laid over white, as a page shows them. Adobe's inverted CMYK is
    turned round by Pillow's decoder.

    Raises:
        ValueError: The mode has no known range of values, or Pillow cannot convert it.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in _SIXTEEN_BIT or (image.mode == "I" and image.format == "PNG"):
        # Older Pillow reads 16-bit grey PNG as 32-bit integers with values up to 65535.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no known range")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

_RESAMPLING: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_MOST_PIXELS = 1 << 25
"""Of a resized image: 512 times as long as wide at the usual 256 pixels, and 128 MiB."""


def resize_square(image: Image.Image, size: int, interpolation: Interpolation) -> Image.Image:
    """Return the image resized straight to ``size`` x ``size`` pixels; the aspect ratio is not kept."""
    return image.resize((size, size), _RESAMPLING[interpolation])


def resize_shorter(image: Image.Image, size: int, interpolation: Interpolation) -> Image.Image:
    """Return the image with its shorter side resized to ``size`` pixels, the aspect ratio kept.

    The longer side is reduced to whole pixels, as in torchvision's ``Resize(size)``.

    Raises:
        UnreadableImageError: The image is so long and thin that the result would be too large for memory.
    """
    width, height = image.size
    shorter, longer = min(width, height), max(width, height)
    long_size = int(size * longer / shorter)
    if size * long_size > _MOST_PIXELS:
        raise UnreadableImageError(f"{width} x {height} pixels are too long and thin to be resized")
    target = (size, long_size) if width <= height else (long_size, size)
    return image.resize(target, _RESAMPLING[interpolation])


def crop_center(image: Image.Image, size: int) -> Image.Image:
    """Return the ``size`` x ``size`` pixels in the middle; odd margins are rounded as in torchvision's ``CenterCrop``.

    Raises:
        ValueError: The image is smaller than the crop.
    """
    width, height = image.size
    if size > min(width, height):
        raise ValueError(f"cannot cut {size} x {size} pixels out of {width} x {height}")
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))
