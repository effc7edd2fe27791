from __future__ import annotations

from typing import Any

import pytest

from quantize.config.transforms import NotTheSameError, preprocessing_of


def test_resize_of_one_number_is_square_as_in_the_onnxruntime_adaptor() -> None:
    parts = preprocessing_of({"Resize": {"size": 224}})
    assert (parts["resize"], parts["resize_mode"], parts["crop"]) == (224, "square", 224)
    assert (parts["scale"], parts["mean"], parts["std"]) == (1.0, [0.0], [1.0])


def test_resize_crop_imagenet_divides_by_the_imagenet_deviations() -> None:
    parts = preprocessing_of({"ResizeCropImagenet": {"height": 224, "width": 224}})
    assert parts["std"] == [0.229, 0.224, 0.225]
    assert parts["scale"] == 1 / 255
    assert (parts["resize"], parts["resize_mode"], parts["crop"]) == (256, "shorter", 224)


@pytest.mark.parametrize(
    "transforms",
    [
        {"RandomCrop": {"size": 224}},
        {"Resize": {"size": [256, 224]}},
        {"Resize": {}},
        {"Resize": {"size": 256, "interpolation": "gaussian"}},
        {"Resize": {"size": 256, "interpolation": ["bilinear"]}},
        {"CenterCrop": {"size": 224}},
        {"CenterCrop": {"size": 224}, "Resize": {"size": 256}},
        {"Resize": {"size": 224}, "Normalize": {"mean": [0.5]}, "Rescale": {}},
        {"Resize": {"size": 224}, "Transpose": {"perm": [2, 1, 0]}},
        {"Resize": {"size": 224}, "Normalize": {"mean": [0.5], "rescale": [1]}},
        {"ResizeCropImagenet": {"height": 224, "width": 200}},
        {"ResizeCropImagenet": {"height": 224, "width": 224, "random_crop": True}},
        {"ResizeCropImagenet": {"height": 224, "width": 224, "subpixels": "BGR"}},
        {"ResizeCropImagenet": {"height": 224, "width": 224}, "Resize": {"size": 200}},
        {"BilinearImagenet": {"height": 224, "width": 224}},
    ],
)
def test_what_has_no_like_is_not_guessed(transforms: dict[str, Any]) -> None:
    with pytest.raises(NotTheSameError):
        preprocessing_of(transforms)
