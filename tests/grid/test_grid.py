from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.grid.grid import Grid, squared_error
from quantize.grid.histogram import Histogram

ENDS = st.floats(-1e3, 1e3, allow_nan=False)


@given(ENDS, ENDS, st.sampled_from(["uint8", "int8"]), st.booleans())
def test_zero_is_always_on_the_grid_and_the_range_is_covered(a, b, kind, symmetric):
    low, high = min(a, b), max(a, b)
    grid = Grid.covering(low, high, activation_type=kind, symmetric=symmetric)
    assert grid.placed(np.array([0.0]))[0] == 0.0
    assert grid.low <= min(low, 0) + grid.scale
    assert grid.high >= max(high, 0) - grid.scale


@given(ENDS, ENDS, st.sampled_from(["uint8", "int8"]), st.lists(ENDS, min_size=1, max_size=20))
def test_a_value_is_placed_where_quantizing_and_dequantizing_puts_it(a, b, kind, values):
    grid = Grid.covering(min(a, b), max(a, b), activation_type=kind)
    values = np.array(values, np.float32)
    assert np.array_equal(grid.placed(values), grid.dequantize(grid.quantize(values)))
    assert grid.placed(values).dtype == np.float32
    assert grid.placed(values.astype(np.float64)).dtype == np.float64


@given(ENDS, ENDS, st.sampled_from(["uint8", "int8"]))
def test_the_ends_are_the_values_of_the_outermost_integers(a, b, kind):
    grid = Grid.covering(min(a, b), max(a, b), activation_type=kind)
    ends = grid.dequantize(np.array([grid.lowest, grid.highest], grid.zero_point.dtype))
    assert (np.float32(grid.low), np.float32(grid.high)) == (ends[0], ends[1])


@given(st.lists(st.floats(2.0**-20, 2.0**10, width=32), min_size=2, max_size=5), st.integers(0, 1))
def test_every_channel_has_its_own_step(scales, axis):
    scale = np.array(scales, np.float32)
    grid = Grid(scale, np.zeros(scale.shape, np.int8), axis)
    values = np.random.default_rng(0).uniform(-100, 100, (len(scales), len(scales))).astype(np.float32)
    for channel, step in enumerate(scale):
        alone = Grid(step.reshape(()), np.array(0, np.int8))
        assert np.array_equal(grid.quantize(values).take(channel, axis), alone.quantize(values.take(channel, axis)))


def test_grids_are_the_same_by_value_unless_their_integers_differ():
    grid = Grid.covering(-1.0, 1.0)
    assert grid.same_as(Grid.covering(-1.0, 1.0))
    assert not grid.same_as(Grid.covering(-1.0, 1.5))
    assert not grid.same_as(Grid.covering(-1.0, 1.0, activation_type="int8"))
    assert not grid.same_as(Grid(grid.scale.reshape(1), grid.zero_point.reshape(1), 0))


def test_what_is_beyond_float32_in_steps_of_the_grid_saturates():
    grid = Grid.covering(0.0, 0.1)
    assert grid.quantize(np.array([3.4e38, -3.4e38], np.float32)).tolist() == [255, 0]


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


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_values_do_not_depend_on_how_many_are_put_on_a_grid_together(monkeypatch, axis):
    draw = np.random.default_rng(0)
    values = draw.normal(0, 1, (5, 7, 3)).astype(np.float32)
    channels = () if axis is None else (values.shape[axis],)
    grid = Grid(
        draw.uniform(0.01, 0.1, channels).astype(np.float32), draw.integers(-9, 9, channels).astype(np.int8), axis
    )
    whole, placed = grid.quantize(values), grid.placed(values)
    monkeypatch.setattr("quantize.grid.grid._TOGETHER", 40)
    assert np.array_equal(grid.quantize(values), whole)
    assert np.array_equal(grid.placed(values), placed)
    assert np.array_equal(np.concatenate(list(grid.placed_in_parts(values))), placed)


@pytest.mark.parametrize("used", [Grid.quantize, Grid.placed])
def test_many_values_take_no_more_memory_than_themselves_and_what_is_made_of_them(used):
    values, grid = np.ones((1000, 1000), np.float32), Grid.covering(-1.0, 1.0)
    tracemalloc.start()
    made = used(grid, values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * values.nbytes
    assert made.shape == values.shape
    assert (values == 1).all()
