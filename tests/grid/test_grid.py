from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.grid.grid import Grid, squared_error
from quantize.grid.histogram import Histogram

ENDS = st.floats(-1e3, 1e3, allow_nan=False)


@given(ENDS, ENDS, st.sampled_from(["uint8", "int8"]), st.booleans())
def test_zero_is_always_on_the_grid_and_the_range_is_covered(one, other, kind, symmetric):
    low, high = min(one, other), max(one, other)
    grid = Grid.covering(low, high, activation_type=kind, symmetric=symmetric)
    assert grid.placed(np.array([0.0]))[0] == 0.0
    covered_low, covered_high = grid.range
    assert covered_low <= min(low, 0) + grid.scale
    assert covered_high >= max(high, 0) - grid.scale


def test_a_symmetric_grid_has_its_zero_in_the_middle():
    assert Grid.covering(-1.0, 0.5, activation_type="int8", symmetric=True).zero_point == 0
    assert Grid.covering(-1.0, 0.5, activation_type="uint8", symmetric=True).zero_point == 128


def test_a_tensor_that_is_always_zero_has_scale_one():
    assert Grid.covering(0.0, 0.0).scale == 1.0


@pytest.mark.parametrize("high", [0.5, 2.0, 4.0])
def test_the_error_of_a_histogram_is_that_of_its_values(high):
    values = np.random.default_rng(0).normal(0, 1, 200_000).astype(np.float32)
    grid = Grid.covering(-high, high)
    measured = np.mean((values - grid.placed(values.astype(np.float64))) ** 2)
    assert squared_error(Histogram.of(values), grid) == pytest.approx(measured, rel=0.02)


def test_values_on_the_grid_cost_nothing():
    grid = Grid.covering(0.0, 255.0)
    assert squared_error(Histogram.of(np.zeros(10, np.float32)), grid) == 0.0
