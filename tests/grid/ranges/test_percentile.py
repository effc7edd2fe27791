from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.grid.grid import Grid
from quantize.grid.ranges.percentile import percentile
from tests.grid.ranges.conftest import distribution


@given(st.floats(60.0, 100.0), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_a_percentile_leaves_that_share_outside_on_either_side(percent, seed):
    values = np.random.default_rng(seed).normal(0, 3, 20_000).astype(np.float32)
    low, high = percentile(distribution(values), Grid.covering, percent)
    share = 1 - percent / 100
    assert np.mean(values > high) == pytest.approx(share, abs=0.005)
    assert np.mean(values < low) == pytest.approx(share, abs=0.005)


def test_the_hundredth_percentile_is_the_whole_range(outlier):
    assert percentile(outlier, Grid.covering, 100.0) == (outlier.minimum, outlier.maximum)


def test_an_outlier_is_clipped(outlier):
    assert percentile(outlier, Grid.covering, 99.99)[1] < 100
