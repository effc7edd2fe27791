from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from quantize.data.decoding import UnreadableImageError
from quantize.data.preprocessing import PRESETS, Preprocessing, choose_preprocessing
from quantize.errors import ConfigError
from tests.data.known_crops import every_value


@given(
    scale=st.floats(1e-3, 10),
    mean=st.tuples(*[st.floats(-200, 200)] * 3),
    std=st.tuples(*[st.floats(1e-2, 300)] * 3),
    order=st.sampled_from(["RGB", "BGR"]),
)
def test_normalization_is_the_float32_formula_bit_for_bit(
    scale: float, mean: tuple[float, float, float], std: tuple[float, float, float], order: str
) -> None:
    crops = every_value()
    parts = PRESETS["caffe"].model_dump() | {"scale": scale, "mean": mean, "std": std, "channel_order": order}
    single = np.float32
    formula = (crops.astype(single) * single(scale) - np.array(mean, single)) / np.array(std, single)
    expected = formula[..., ::-1] if order == "BGR" else formula
    normalized = Preprocessing.model_validate(parts).normalize(crops)
    assert normalized.dtype == np.float32
    assert normalized.flags.c_contiguous
    assert np.array_equal(normalized, expected.transpose(0, 3, 1, 2))


def test_square_resizes_straight_to_the_size() -> None:
    image = Image.effect_mandelbrot((61, 40), (-2, -1, 1, 1), 50).convert("RGB")
    crop = PRESETS["caffe"].for_input_size(24, 24).crop_image(image)
    assert np.array_equal(crop, np.asarray(image.resize((24, 24), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize(
    ("size", "resized", "corner"),
    [((500, 375), (341, 256), (58, 16)), ((375, 500), (256, 341), (16, 58)), ((333, 500), (256, 384), (16, 80))],
)
def test_shorter_resizes_and_crops_as_torchvision_does(
    size: tuple[int, int], resized: tuple[int, int], corner: tuple[int, int]
) -> None:
    image = Image.effect_mandelbrot(size, (-2, -1, 1, 1), 50).convert("RGB")
    crop = PRESETS["imagenet"].for_input_size(224, 224).crop_image(image)
    left, top = corner
    whole = np.asarray(image.resize(resized, Image.Resampling.BILINEAR))
    assert np.array_equal(crop, whole[top : top + 224, left : left + 224])


def test_an_image_too_long_and_thin_is_unreadable() -> None:
    with pytest.raises(UnreadableImageError, match="1 x 30000 pixels are too long"):
        PRESETS["imagenet"].for_input_size(1024, 1024).crop_image(Image.new("RGB", (1, 30000)))


@pytest.mark.parametrize(
    ("preset", "taken", "resize", "side"),
    [
        ("caffe", 224, 224, 224),
        ("caffe", 227, 227, 227),
        ("imagenet", 224, 256, 224),
        ("imagenet", 299, 342, 299),
        ("imagenet", None, 256, 224),
        ("caffe", None, 224, 224),
    ],
)
def test_the_models_input_decides_the_sizes_in_the_presets_proportion(
    preset: str, taken: int | None, resize: int, side: int
) -> None:
    sized = PRESETS[preset].for_input_size(taken, taken)
    assert (sized.resize, sized.side) == (resize, side)


def test_one_known_side_of_the_input_is_enough() -> None:
    assert PRESETS["caffe"].for_input_size(None, 192).side == 192


def test_sizes_that_are_set_are_kept() -> None:
    chosen = choose_preprocessing({"preset": "imagenet", "resize": 300})
    assert chosen.for_input_size(224, 224).resize == 300
    assert choose_preprocessing({"preset": "imagenet", "crop": 192}).for_input_size(None, None).resize == 219
    assert choose_preprocessing({"preset": "caffe", "resize": 256, "crop": 224}).for_input_size(224, 224).side == 224


@pytest.mark.parametrize(
    ("parts", "taken"),
    [
        ({"preset": "caffe", "resize": 256}, (224, 224)),
        ({"preset": "imagenet", "crop": 192}, (224, 224)),
        ({"preset": "imagenet", "resize": 200}, (224, 224)),
        ({"preset": "imagenet"}, (224, 192)),
    ],
)
def test_a_size_that_the_model_cannot_take_is_an_error(parts: dict[str, object], taken: tuple[int, int]) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_preprocessing(parts).for_input_size(*taken)
    assert caught.value.advice is not None


def test_without_sizes_nothing_is_cropped() -> None:
    with pytest.raises(ValueError, match="for_input_size"):
        PRESETS["caffe"].crop_image(Image.new("RGB", (8, 8)))


def test_parts_replace_those_of_the_preset() -> None:
    chosen = choose_preprocessing({"preset": "caffe", "channel_order": "RGB"})
    assert chosen.channel_order == "RGB"
    assert chosen.mean == PRESETS["caffe"].mean


def test_without_a_preset_every_missing_part_is_named() -> None:
    with pytest.raises(ConfigError, match="not all of its parts") as caught:
        choose_preprocessing({"resize_mode": "square", "scale": 1.0})
    assert caught.value.found == "nothing for interpolation, channel_order, mean, std"
    parts = PRESETS["caffe"].model_dump(exclude={"preset"})
    assert choose_preprocessing(parts).fingerprint == PRESETS["caffe"].fingerprint


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'cafe'") as caught:
        choose_preprocessing({"preset": "cafe"})
    assert caught.value.expected == "one of caffe, imagenet, efficientnet_lite, inception"


def test_fingerprints_follow_what_they_cover() -> None:
    caffe = PRESETS["caffe"].for_input_size(224, 224)
    other_mean = caffe.model_copy(update={"mean": (0.0, 0.0, 0.0)})
    assert caffe.model_copy(update={"preset": None}).fingerprint == caffe.fingerprint
    assert other_mean.fingerprint != caffe.fingerprint
    assert other_mean.crop_fingerprint == caffe.crop_fingerprint
    assert PRESETS["caffe"].for_input_size(225, 225).crop_fingerprint != caffe.crop_fingerprint


def test_one_number_for_all_colours_is_the_number_for_grey() -> None:
    grey = choose_preprocessing({"preset": "efficientnet_lite"}, 1)
    assert (grey.channel_order, grey.mean, grey.std, grey.channels) == ("L", (127.0,), (128.0,), 1)
    parts = {"resize_mode": "square", "interpolation": "box", "scale": 1.0, "mean": (3.0,) * 3, "std": (2.0,) * 3}
    assert choose_preprocessing(parts, 1).mean == (3.0,)
    assert choose_preprocessing({**parts, "channel_order": "L", "mean": (3.0,)}).mean == (3.0,)


@pytest.mark.parametrize("parts", [{"preset": "imagenet"}, {"preset": "caffe", "scale": 1.0}])
def test_three_numbers_say_nothing_of_grey(parts: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="three colours, and the model takes one channel") as caught:
        choose_preprocessing(parts, 1)
    assert caught.value.advice is not None
    assert "--mean" in caught.value.advice


def test_grey_is_refused_for_three_channels() -> None:
    with pytest.raises(ConfigError, match="one channel, and the model takes three"):
        choose_preprocessing({"preset": "inception", "channel_order": "L"}, 3)


def test_a_grey_crop_is_pillows_mode_l_and_one_channel() -> None:
    image = Image.effect_mandelbrot((40, 40), (-2, -1, 1, 1), 50)
    grey = choose_preprocessing({"preset": "inception", "mean": (1.0,), "resize_mode": "square"}, 1).for_input_size(
        40, 40
    )
    assert np.array_equal(grey.crop_image(image.convert("RGB")), np.asarray(image)[..., np.newaxis])
    colours = Image.merge("RGB", (image, image.rotate(90), image.rotate(180)))
    crop = grey.crop_image(colours)
    assert np.array_equal(crop[..., 0], np.asarray(colours.convert("L")))
    normalized = grey.normalize(crop[np.newaxis])
    assert normalized.shape == (1, 1, 40, 40)
    assert np.allclose(normalized[0, 0], crop[..., 0] / 127.5 - 1, atol=1e-6)


def test_crops_of_grey_and_of_colours_are_kept_apart() -> None:
    colours = PRESETS["inception"].for_input_size(40, 40)
    assert colours.for_channels(1).crop_fingerprint != colours.crop_fingerprint
    assert colours.for_channels(3) is colours
