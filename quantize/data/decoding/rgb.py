"""Any image that a camera, a scanner or a web page leaves behind, as 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image

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
