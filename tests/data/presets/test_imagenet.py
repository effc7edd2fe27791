from __future__ import annotations

import numpy as np

from quantize.data.preprocessing import PRESETS
from tests.data.known_crops import every_value


def test_imagenet_scales_then_subtracts_then_divides() -> None:
    crops = every_value()
    image = PRESETS["imagenet"].normalize(crops)[0]
    green = (crops[0, ..., 1].astype(np.float32) * np.float32(1 / 255) - np.float32(0.456)) / np.float32(0.224)
    assert np.array_equal(image[1], green)
