"""Speed-ups, their intervals and what they show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.measurement.timing.speedup import (
    Speedup,
    difference,
    median_interval,
    noise_floor,
    signed_rank_p_value,
    speedup,
)


def speedup_of(ratio: float, low: float | None, high: float | None) -> Speedup:
    return Speedup(
        baseline="a", candidate="b", ratio=ratio, low=low, high=high, confidence=0.95, rounds=9, p_value=None
    )


def test_swapping_the_two_models_inverts_the_speed_up():
    ratios = np.random.default_rng(0).normal(0.7, 0.02, 20)
    forth = speedup(ratios, baseline="a", candidate="b")
    back = speedup(-ratios, baseline="b", candidate="a")
    assert forth is not None
    assert back is not None
    assert forth.ratio * back.ratio == pytest.approx(1)
    assert forth.p_value == pytest.approx(back.p_value)


@given(st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=6, max_size=40), st.integers(0, 9))
def test_the_interval_holds_the_median_and_stays_within_the_data(values, seed):
    data = np.array(values)
    low, high = median_interval(data, seed=seed, resamples=500)
    assert data.min() <= low <= high <= data.max()
    assert low <= np.median(data) <= high


def test_fewer_than_six_rounds_give_no_interval_and_no_p_value():
    few = speedup(np.array([0.1, 0.2, 0.3, 0.2, 0.1]), baseline="a", candidate="b")
    assert few is not None
    assert (few.low, few.high, few.p_value, few.relative_width) == (None, None, None, None)
    assert difference(few, None) == "not shown"
    assert speedup(np.array([]), baseline="a", candidate="b") is None


@pytest.mark.parametrize("rounds", [6, 7, 12, 25])
def test_the_interval_of_equal_models_holds_one_as_often_as_it_says(rounds):
    """In 1,000 simulated A/A measurements with heavy tails, with three standard errors of room."""
    generator = np.random.default_rng(rounds)
    data = generator.standard_t(3, size=(1000, rounds)) * 0.01
    intervals = [median_interval(values, seed=7, resamples=500) for values in data]
    assert np.mean([low <= 0 <= high for low, high in intervals]) > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 1000)


def test_equal_times_give_a_p_value_of_one_and_unlike_ones_a_small_one():
    assert signed_rank_p_value(np.zeros(10)) == 1
    assert signed_rank_p_value(np.full(10, 0.3)) < 0.01
    assert signed_rank_p_value(np.array([0.1, -0.1, 0.2, -0.2, 0.3, -0.3])) > 0.9
    assert signed_rank_p_value(np.random.default_rng(0).normal(0.5, 0.1, 60)) < 1e-6


def test_the_exact_signed_rank_test_of_six_positive_differences_is_two_in_64():
    assert signed_rank_p_value(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])) == pytest.approx(2 / 64)


def test_the_noise_floor_is_the_farther_end_of_the_control_interval():
    assert noise_floor(speedup_of(1.0, 0.98, 1.01)) == pytest.approx(1 / 0.98 - 1)
    assert noise_floor(speedup_of(1.0, 0.995, 1.03)) == pytest.approx(0.03)
    assert noise_floor(speedup_of(1.0, None, None)) is None
    assert noise_floor(None) is None


@pytest.mark.parametrize(
    ("ratio", "low", "high", "floor", "word"),
    [
        (2.0, 1.9, 2.1, 0.01, "faster"),
        (0.7, 0.69, 0.71, 0.01, "slower"),
        (1.02, 0.99, 1.05, 0.001, "none"),
        (1.02, 1.015, 1.025, 0.03, "none"),
        (1 / 1.02, 0.975, 0.985, 0.03, "none"),
        (1.02, 1.015, 1.025, None, "faster"),
    ],
)
def test_a_difference_below_the_noise_floor_is_none(ratio, low, high, floor, word):
    assert difference(speedup_of(ratio, low, high), floor) == word
