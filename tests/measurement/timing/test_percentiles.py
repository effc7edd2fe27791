"""Percentiles that the runs support, and none that they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.measurement.timing.measurement import percentile_ns, runs_needed


@pytest.mark.parametrize(("quantile", "runs"), [(0.5, 20), (0.9, 100), (0.95, 200), (0.99, 1000), (0.999, 10000)])
def test_ten_runs_must_lie_beyond_a_percentile(quantile, runs):
    assert runs_needed(quantile) == runs
    assert percentile_ns(range(runs - 1), quantile) is None
    assert percentile_ns(range(runs), quantile) == round(quantile * runs) - 1


@given(st.lists(st.integers(1, 10**9), min_size=100, max_size=300), st.sampled_from([0.5, 0.75, 0.9]))
def test_a_percentile_is_a_measured_time_with_that_share_at_or_below_it(runs, quantile):
    value = percentile_ns(runs, quantile)
    assert value in runs
    assert np.mean(np.array(runs) <= value) >= quantile
    assert np.mean(np.array(runs) < value) < quantile
