from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantize.grid.histogram import EMPTY, Histogram, bin_of, lower_edge

FLOATS = hnp.arrays(
    np.float32,
    st.integers(1, 60),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@given(FLOATS, FLOATS, FLOATS)
def test_merging_is_associative_commutative_and_what_one_pass_gives(first, second, third):
    x, y, z = Histogram.of(first), Histogram.of(second), Histogram.of(third)
    assert x.merged(y).merged(z) == x.merged(y.merged(z))
    assert x.merged(y) == y.merged(x)
    assert Histogram.sum(x, y, z) == Histogram.of(np.concatenate([first, second, third]))


@given(FLOATS)
def test_no_count_is_lost_whatever_the_range(values):
    histogram = Histogram.of(values)
    assert histogram.total == values.size
    assert histogram.merged(EMPTY) == histogram


@given(FLOATS)
def test_every_value_lies_between_the_edges_of_its_bin(values):
    for value in values:
        low, high = (edge[0] for edge in Histogram.of(np.array([value])).edges())
        assert low <= value <= high or bin_of(float(value)) == 0


@given(FLOATS, st.floats(-8, 0), st.floats(0.125, 8))
def test_clipping_a_histogram_is_clipping_its_values(values, low, high):
    low, high = float(np.float32(low)), float(np.float32(high))
    assert Histogram.of(values).clipped(low, high) == Histogram.of(np.clip(values, np.float32(low), np.float32(high)))


def test_the_bins_are_the_bfloat16_numbers():
    histogram = Histogram.of(np.array([1.0, 1.0 + 1 / 256, 1.0 + 1 / 128, -1.0, 0.0, -0.0], np.float32))
    assert histogram.counts.tolist() == [1, 2, 2, 1]
    first = bin_of(1.0)
    assert histogram.bins.tolist() == [-first, 0, first, first + 1]
    assert lower_edge(np.array([first, first + 1])).tolist() == [1.0, 1.0 + 1 / 128]


def test_a_value_that_is_not_finite_is_refused():
    for value in (np.inf, -np.inf, np.nan):
        with pytest.raises(ValueError, match="NaN"):
            Histogram.of(np.array([1.0, value], np.float32))
