from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.calibration.ranges.entropy import entropy
from quantize.calibration.ranges.mse import mse
from quantize.calibration.ranges.percentile import percentile
from quantize.calibration.ranges.rule import CANDIDATES, chosen_rule, range_of
from quantize.calibration.statistics import TensorStatistics
from quantize.errors import ConfigError
from quantize.grid.grid import Grid, squared_error
from quantize.grid.histogram import Histogram


def statistics(values):
    values = np.asarray(values, np.float32)
    return TensorStatistics(Histogram.of(values), float(values.min()), float(values.max()), None)


RELU = statistics(np.maximum(np.random.default_rng(1).normal(0, 1, 100_000), 0))
OUTLIER = statistics(np.append(np.random.default_rng(2).normal(0, 1, 100_000), 1000.0))


def test_min_max_covers_everything():
    assert range_of(OUTLIER, "minmax", Grid.covering) == (OUTLIER.minimum, OUTLIER.maximum)


@given(st.floats(60.0, 100.0), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_a_percentile_leaves_that_share_outside_on_either_side(percent, seed):
    values = np.random.default_rng(seed).normal(0, 3, 20_000).astype(np.float32)
    low, high = percentile(statistics(values), percent)
    share = 1 - percent / 100
    assert np.mean(values > high) == pytest.approx(share, abs=0.005)
    assert np.mean(values < low) == pytest.approx(share, abs=0.005)


def test_the_hundredth_percentile_is_the_whole_range():
    assert percentile(OUTLIER, 100.0) == (OUTLIER.minimum, OUTLIER.maximum)


def test_an_outlier_is_clipped_by_every_rule_but_min_max():
    for rule in ("percentile:99.99", "entropy"):
        assert range_of(OUTLIER, rule, Grid.covering)[1] < 100, rule


def test_the_mse_rule_is_near_the_best_range_of_a_full_search():
    heavy = statistics(np.random.default_rng(3).laplace(0, 1, 50_000))
    found = squared_error(heavy.histogram, Grid.covering(*mse(heavy, Grid.covering)))
    best = min(squared_error(heavy.histogram, Grid.covering(-end, end)) for end in np.linspace(2, 12, 200))
    assert found <= 1.02 * best


@given(st.integers(0, 20))
@settings(max_examples=10, deadline=None)
def test_auto_has_the_least_error_of_all_rules(seed):
    rng = np.random.default_rng(seed)
    tensor = statistics(rng.normal(0, 1, 5000) ** 3)
    errors = {
        rule: squared_error(tensor.histogram, Grid.covering(*range_of(tensor, rule, Grid.covering)))
        for rule in CANDIDATES
    }
    assert errors[chosen_rule(tensor, Grid.covering)] == min(errors.values())


def test_entropy_keeps_most_of_a_half_normal_tensor():
    low, high = entropy(RELU)
    assert low == 0.0
    assert 2.0 < high <= RELU.maximum


def test_a_constant_zero_tensor_has_an_empty_range():
    zero = statistics(np.zeros(4))
    for rule in CANDIDATES:
        assert range_of(zero, rule, Grid.covering) == (0.0, 0.0)


@pytest.mark.parametrize("rule", ["average", "percentile:", "percentile:50", "percentile:101", "percentile:x"])
def test_an_unknown_rule_is_refused_with_the_known_ones(rule):
    with pytest.raises(ConfigError) as refused:
        range_of(RELU, rule, Grid.covering)
    assert "minmax, percentile, mse, entropy, auto" in str(refused.value)
