from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from quantize.data.decoding import UnreadableImageError, decode_image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(content: bytes) -> np.ndarray:
    image = decode_image(content)
    assert image.mode == "RGB"
    return np.asarray(image)


GRADIENT = np.arange(256, dtype=np.uint8).reshape(16, 16)
GREY_AS_RGB = np.repeat(GRADIENT[..., None], 3, axis=-1)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_grey_is_spread_to_three_channels(kind: str) -> None:
    assert np.array_equal(pixels(encoded(Image.fromarray(GRADIENT), kind)), GREY_AS_RGB)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("factor", [256, 257])
def test_16_bit_grey_is_scaled_not_clipped(kind: str, factor: int) -> None:
    image = Image.fromarray(GRADIENT.astype(np.uint16) * np.uint16(factor))
    assert np.array_equal(pixels(encoded(image, kind)), GREY_AS_RGB)


def test_big_endian_16_bit_grey_is_scaled() -> None:
    image = Image.frombytes("I;16B", (16, 16), (GRADIENT.astype(">u2") * 257).astype(">u2").tobytes())
    assert np.array_equal(pixels(encoded(image, "TIFF")), GREY_AS_RGB)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_no_known_range_are_refused(mode: str) -> None:
    with pytest.raises(UnreadableImageError, match=f"mode {mode} have no known range"):
        decode_image(encoded(Image.new(mode, (4, 4)), "TIFF"))


def test_cmyk_becomes_the_same_colours() -> None:
    colours = Image.new("RGB", (32, 32), (200, 30, 60))
    content = encoded(colours.convert("CMYK"), "JPEG", quality=100)
    assert np.abs(pixels(content).astype(int) - (200, 30, 60)).max() <= 3


def test_a_palette_becomes_its_colours() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    for kind in ("PNG", "GIF"):
        assert (pixels(encoded(image, kind)) == (10, 200, 30)).all()


def test_transparent_pixels_of_a_palette_lie_on_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.putpixel((0, 0), 0)
    decoded = pixels(encoded(image, "PNG", transparency=0))
    assert tuple(decoded[0, 0]) == (255, 255, 255)
    assert tuple(decoded[1, 1]) == (10, 200, 30)


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (10, 200, 30, 0)), ("LA", (10, 0))])
def test_transparent_pixels_lie_on_white(mode: str, colour: tuple[int, ...]) -> None:
    assert (pixels(encoded(Image.new(mode, (4, 4), colour), "PNG")) == 255).all()


def test_black_and_white_is_0_and_255() -> None:
    assert (pixels(encoded(Image.new("1", (4, 4), 1), "PNG")) == 255).all()


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_270), (8, Image.Transpose.ROTATE_90)],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_image_that_lies_on_its_side_is_stood_upright(orientation: int, turn: Image.Transpose, kind: str) -> None:
    image = Image.effect_mandelbrot((32, 16), (-2, -1, 1, 1), 50).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.open(io.BytesIO(encoded(image, kind))).convert("RGB").transpose(turn)
    assert np.array_equal(pixels(encoded(image, kind, exif=exif)), np.asarray(upright))


def test_a_damaged_exif_block_leaves_the_picture_as_it_is() -> None:
    image = Image.new("RGB", (8, 8), (0, 0, 255))
    content = encoded(image, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x00broken")
    assert pixels(content).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"version https://git-lfs", "not an image"), (b"\xff\xd8\xff", "not an image")],
)
def test_what_is_not_an_image_is_called_so(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        decode_image(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
@given(kept=st.floats(0.0, 0.95))
@settings(max_examples=20)
def test_a_truncated_image_is_unreadable(kind: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), kind)
    with pytest.raises(UnreadableImageError):
        decode_image(content[: int(len(content) * kept)])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@given(damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_damaged_file_is_an_image_or_unreadable_and_nothing_else(kind: str, damage: list[tuple[int, int]]) -> None:
    content = bytearray(encoded(Image.effect_mandelbrot((16, 16), (-2, -1, 1, 1), 50).convert("RGB"), kind))
    for place, value in damage:
        content[place % len(content)] = value
    with contextlib.suppress(UnreadableImageError):
        assert decode_image(bytes(content)).mode == "RGB"
