from __future__ import annotations

import numpy as np

from quantize.data.preprocessing import PRESETS
from tests.data.known_crops import every_value


def test_inception_takes_values_from_minus_1_to_1() -> None:
    crops = every_value()
    image = PRESETS["inception"].normalize(crops)[0]
    as_in_keras = crops[0].astype(np.float64).transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(image, as_in_keras, atol=1e-7)
    assert (image.min(), image.max()) == (-1.0, 1.0)


def test_inception_cuts_the_centre_out_of_a_shorter_side_that_is_an_eighth_longer() -> None:
    sized = PRESETS["inception"].for_input_size(299, 299)
    assert (sized.resize, sized.crop) == (round(299 / 0.875), 299) == (342, 299)
