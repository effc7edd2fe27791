"""From a decoded image to the model's square: the two ways that published models were evaluated."""

from __future__ import annotations

from typing import Literal

from PIL import Image

from quantize.data.decoding.unreadable import UnreadableImageError

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

_RESAMPLING: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# As many as Pillow decodes at most before it takes a file for an attack.
_MOST_PIXELS = 178_956_970


def resize_square(image: Image.Image, size: int, interpolation: Interpolation) -> Image.Image:
    """Return the image resized straight to ``size`` x ``size`` pixels; the aspect ratio is not kept."""
    return image.resize((size, size), _RESAMPLING[interpolation])


def resize_shorter(image: Image.Image, size: int, interpolation: Interpolation) -> Image.Image:
    """Return the image with its shorter side resized to ``size`` pixels, the aspect ratio kept.

    The longer side is cut down to whole pixels, as in torchvision's ``Resize(size)``.

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
