"""The interval of a difference between two runs on different images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.gate.changes import difference


@given(
    st.floats(0, 1), st.integers(10, 5000), st.floats(0, 1), st.integers(10, 5000), st.sampled_from([0.5, 0.9, 0.99])
)
def test_the_unpaired_difference_lies_within_its_interval(a: float, n: int, b: float, m: int, c: float) -> None:
    first, second = round(a * n) / n, round(b * m) / m
    interval = difference(first, n, second, m, c)
    assert interval.low - 1e-12 <= first - second <= interval.high + 1e-12
    mirrored = difference(second, m, first, n, c)
    assert mirrored.low == pytest.approx(-interval.high)


def test_newcombes_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table II, case (a), method 10: 56/70 - 48/80.
    interval = difference(56 / 70, 70, 48 / 80, 80, 0.95)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0524, 0.3339)
