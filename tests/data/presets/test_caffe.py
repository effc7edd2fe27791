from __future__ import annotations

import numpy as np

from quantize.data.preprocessing import PRESETS
from tests.data.known_crops import every_value


def test_caffe_subtracts_the_means_and_swaps_to_bgr() -> None:
    crops = every_value()
    image = PRESETS["caffe"].normalize(crops)[0]
    assert np.array_equal(image[2], crops[0, ..., 0].astype(np.float32) - np.float32(123.68))
    assert np.array_equal(image[0], crops[0, ..., 2].astype(np.float32) - np.float32(103.939))
