"""Image files of every format that is read: decoded, stood upright, cropped."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from fuzzing.target import Target
from quantize.data.decoding import UnreadableImageError, decode_image
from quantize.data.preprocessing import PRESETS

_SMALL = PRESETS["imagenet"].for_input_size(8, 8)


def _run(content: bytes, scratch: Path) -> None:  # noqa: ARG001 - a target's signature
    _SMALL.crop_image(decode_image(content))


def _seeds() -> list[bytes]:
    pixels = np.arange(20 * 24 * 4, dtype=np.uint32).reshape(20, 24, 4).astype(np.uint8)
    image = Image.fromarray(pixels, "RGBA")
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True, "exif": turned}),
        ("JPEG", "CMYK", {}),
        *(("PNG", mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("PPM", "RGB", {}),
        *(("TIFF", "RGB", {"compression": name}) for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")),
        *([("WEBP", "RGBA", {}), ("WEBP", "RGB", {"lossless": True})] if features.check("webp") else []),
        *([("JPEG2000", "RGB", {})] if features.check("jpg_2000") else []),
        *([("AVIF", "RGB", {})] if features.check("avif") else []),
    ]
    files = []
    for form, mode, options in kinds:
        stream = io.BytesIO()
        image.convert(mode).save(stream, form, **options)
        files.append(stream.getvalue())
    return files


TARGET = Target(
    name="images", what="image files", executions=100_000, seeds=_seeds, run=_run, refused=(UnreadableImageError,)
)
