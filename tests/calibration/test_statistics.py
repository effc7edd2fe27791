from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.calibration.statistics import ChannelMeans

VALUES = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=12)


def of(values):
    return [ChannelMeans.of_image(np.array([value], np.float32)) for value in values]


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_move_a_bit(values, random):
    reordered = values.copy()
    random.shuffle(reordered)
    ordered, shuffled = of(values), of(reordered)
    assert sum_of(ordered) == sum_of(shuffled)


def sum_of(means):
    total = means[0]
    for added in means[1:]:
        total = total.merged(added)
    return total


@given(VALUES)
def test_the_mean_is_that_of_the_images(values):
    exact = np.mean(np.array(values, np.float32).astype(np.float64))
    assert sum_of(of(values)).mean()[0] == pytest.approx(exact, rel=1e-12, abs=1e-9)


def test_a_mean_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        ChannelMeans.of_image(np.array([np.inf], np.float32))
