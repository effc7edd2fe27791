from __future__ import annotations

import numpy as np

from quantize.data.preprocessing import PRESETS
from tests.data.known_crops import every_value


def test_efficientnet_lite_takes_values_from_minus_1_to_1() -> None:
    crops = every_value()
    image = PRESETS["efficientnet_lite"].normalize(crops)[0]
    red = (crops[0, ..., 0].astype(np.float32) - np.float32(127)) / np.float32(128)
    assert np.array_equal(image[0], red)
    assert (image.min(), image.max()) == (np.float32(-127 / 128), 1.0)
