from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.errors import ConfigError
from quantize.grid.grid import Grid
from quantize.grid.ranges.percentile import percentile
from quantize.grid.ranges.registry import RULES, range_of, rule_of_setting, setting_names
from tests.grid.ranges.conftest import distribution

KINDS = {
    "normal": lambda rng: rng.normal(1, 2, 2000),
    "outliers": lambda rng: rng.normal(0, 1, 2000) ** 5,
    "positive": lambda rng: np.maximum(rng.normal(0, 1, 2000), 0),
    "negative": lambda rng: -rng.exponential(1, 2000),
    "constant": lambda rng: np.full(10, 3.0),
}


@pytest.mark.parametrize("rule", RULES)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_no_rule_covers_more_than_what_was_seen_and_zero(rule, kind, seed):
    values = distribution(KINDS[kind](np.random.default_rng(seed)))
    low, high = range_of(values, rule, Grid.covering)
    assert min(values.minimum, 0.0) <= low
    assert high <= max(values.maximum, 0.0)


@pytest.mark.parametrize("rule", RULES)
def test_a_tensor_that_is_always_zero_has_an_empty_range(rule):
    assert range_of(distribution(np.zeros(4)), rule, Grid.covering) == (0.0, 0.0)


def test_a_rule_takes_its_parameter_from_its_name(outlier):
    for name, percent in (("percentile", 99.999), ("percentile:99.9", 99.9)):
        assert range_of(outlier, name, Grid.covering) == percentile(outlier, Grid.covering, percent)


@pytest.mark.parametrize(
    "rule", ["average", "percentile:", "percentile:50", "percentile:101", "percentile:x", "minmax:1", "minmax:"]
)
def test_an_unknown_rule_is_refused_with_the_known_ones(relu, rule):
    with pytest.raises(ConfigError) as refused:
        range_of(relu, rule, Grid.covering)
    assert ", ".join(RULES) in str(refused.value)


def test_a_setting_names_each_rule_once_as_neural_compressor_does_if_it_has_it():
    assert setting_names()[:3] == ("minmax", "kl", "percentile")
    assert [rule_of_setting(name) for name in setting_names()[:3]] == ["minmax", "entropy", "percentile:99.999"]
    assert {rule_of_setting(name).partition(":")[0] for name in setting_names()} == set(RULES)
