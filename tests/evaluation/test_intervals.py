from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quantize.evaluation.intervals import Interval, wilson


def test_wilson_is_scipys_for_whole_counts() -> None:
    expected = stats.binomtest(336, 500).proportion_ci(0.95, method="wilson")
    found = wilson(336, 500)
    assert (found.low, found.high) == (expected.low, expected.high)
    assert found.low == pytest.approx(0.6297, abs=5e-5)
    assert found.high == pytest.approx(0.7117, abs=5e-5)


@given(st.integers(1, 3000), st.floats(0, 1))
def test_a_count_between_whole_numbers_has_an_interval_that_holds_it(n: int, share: float) -> None:
    count = n * share
    found = wilson(count, n)
    assert found.low <= wilson(int(count), n).low + 1e-15
    assert found.low - 1e-12 <= count / n <= found.high + 1e-12


def test_an_interval_of_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        wilson(0, 0)


def test_an_interval_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="from 1"):
        Interval(low=1, high=0, confidence=0.95)
