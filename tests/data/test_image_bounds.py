from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from quantize.data import image_bounds
from quantize.data.decoding import UnreadableImageError, decode_image
from quantize.data.preprocessing import PRESETS


def _png(width: int, height: int, colour: int = 2) -> bytes:
    """Return a PNG that says its size and holds no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("size", "said"),
    [((1, 178_000_000), "a side is longer"), ((178_000_000, 1), "a side is longer"), ((13_000, 13_000), "too much")],
)
def test_pixels_that_no_image_has_are_refused_before_they_are_decoded(size: tuple[int, int], said: str) -> None:
    with pytest.raises(UnreadableImageError, match=said):
        decode_image(_png(*size))


def test_transparency_takes_more_copies_and_so_has_a_tighter_bound() -> None:
    side = int((image_bounds.LARGEST_DECODED / 16) ** 0.5)
    with pytest.raises(UnreadableImageError, match="RGBA would take too much"):
        decode_image(_png(side, side, colour=6))
    with pytest.raises(UnreadableImageError, match=r"truncated|broken|cut"):  # within the bound: it is decoded
        decode_image(_png(side, side))


def test_a_progressive_jpeg_of_very_many_scans_is_refused() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    assert decode_image(content).size == (16, 16)
    scan = content[content.index(b"\xff\xda") : -2]
    with pytest.raises(UnreadableImageError, match="scans"):
        decode_image(content[:-2] + scan * 200 + b"\xff\xd9")


def test_postscript_is_never_run() -> None:
    with pytest.raises(UnreadableImageError, match="not an image"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n(%pipe%id) (w) file\n")


def test_more_bytes_than_an_image_has_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_bounds, "LARGEST_FILE", 10)
    with pytest.raises(UnreadableImageError, match="more than an image has"):
        decode_image(_png(10, 10))


def test_a_long_and_thin_image_is_not_blown_up() -> None:
    preprocessing = PRESETS["imagenet"].model_copy(update={"resize": 256, "crop": 224})
    with pytest.raises(UnreadableImageError, match="too long and thin"):
        preprocessing.crop_image(Image.new("RGB", (1, 60_000)))
    assert preprocessing.crop_image(Image.new("RGB", (100, 30_000))).shape == (224, 224, 3)
