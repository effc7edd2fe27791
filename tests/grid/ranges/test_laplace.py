from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.grid.grid import Grid, squared_error
from quantize.grid.ranges.laplace import clipping_point, laplace
from tests.grid.ranges.conftest import distribution


@pytest.mark.parametrize(("bits", "times"), [(2, 2.83), (3, 3.89), (4, 5.03)])
def test_the_clipping_points_are_those_of_the_paper(bits, times):
    assert clipping_point(2**bits) == pytest.approx(times, abs=0.01)  # the paper cuts after two digits


@given(st.integers(2, 4096), st.booleans())
def test_no_other_end_costs_less(levels, one_sided):
    def cost(end):
        step = (1.0 if one_sided else 2.0) * end / levels
        return 2 * np.exp(-end) + step**2 / 12

    best = clipping_point(levels, one_sided=one_sided)
    assert cost(best) <= min(cost(best * 0.98), cost(best * 1.02))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("kind", ["uint8", "int8"])
@given(st.floats(2.0**-10, 2.0**10), st.booleans())
@settings(max_examples=5, deadline=None)
def test_it_is_near_the_best_range_of_a_full_search(kind, symmetric, width, one_sided):
    def grid_of(low, high):
        return Grid.covering(low, high, activation_type=kind, symmetric=symmetric)

    # Evenly spaced quantiles: a drawn sample's own outliers would decide what is best for it.
    half = -np.log(1.0 - (np.arange(100_000) + 0.5) / 100_000)
    values = distribution(width * (half if one_sided else np.append(half, -half)))
    error = squared_error(values.histogram, grid_of(*laplace(values, grid_of)))
    ends = width * np.linspace(2.0, 16.0, 150)
    best = min(squared_error(values.histogram, grid_of(0.0 if one_sided else -end, end)) for end in ends)
    assert error <= 1.03 * best


@given(st.integers(0, 50), st.booleans())
@settings(max_examples=10, deadline=None)
def test_of_values_with_one_sign_the_zeros_do_not_count(seed, negative):
    sign = -1.0 if negative else 1.0
    some = sign * np.random.default_rng(seed).exponential(1.0, 5_000)
    ends = [laplace(distribution(np.append(some, np.zeros(zeros))), Grid.covering) for zeros in (1, 20_000)]
    assert ends[0] == ends[1]


def test_a_single_outlier_hardly_moves_the_range(outlier):
    low, high = laplace(outlier, Grid.covering)
    assert low == outlier.minimum
    assert 5 < high < 10


@given(st.integers(-10, 10), st.integers(0, 20))
@settings(max_examples=20, deadline=None)
def test_a_tensor_in_other_units_has_its_range_in_these(power, seed):
    values = np.random.default_rng(seed).laplace(0.2, 1, 2_000).astype(np.float32)
    low, high = laplace(distribution(values), Grid.covering)
    scaled = laplace(distribution(values * np.float32(2.0**power)), Grid.covering)
    assert scaled == pytest.approx((low * 2.0**power, high * 2.0**power), rel=1e-12)
