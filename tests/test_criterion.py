"""The criteria on accuracy and speed, with the rules that search, verdict and check share."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.criterion import Criterion, SpeedCriterion, is_shown_slower, is_slower, overall

fractions = st.floats(0, 1)


def test_a_relative_goal_is_a_share_of_the_baseline():
    assert Criterion("top1", baseline=0.5, relative=0.01).floor() == pytest.approx(0.495)


def test_an_absolute_goal_is_in_fractions():
    assert Criterion("top1", baseline=0.5, absolute=0.01).floor() == pytest.approx(0.49)


def test_without_a_metric_everything_passes():
    assert Criterion("none").floor() is None
    assert Criterion("none").met(None)


def test_what_was_not_measured_does_not_meet_a_goal():
    assert not Criterion("agreement", minimum=0.95).met(None)


@given(fractions, fractions)
def test_the_floor_itself_passes(baseline: float, relative: float):
    criterion = Criterion("top1", baseline=baseline, relative=relative)
    floor = criterion.floor()
    assert floor is not None
    assert criterion.met(floor)
    assert not criterion.met(floor - 1e-6)


@given(st.sampled_from(["relative", "absolute"]), fractions, st.integers(1, 50_000), st.integers(2, 1000))
def test_a_share_of_one_image_that_is_missing_is_never_taken_for_rounding(kind: str, lost: float, n: int, tied: int):
    criterion = Criterion("top1", baseline=1.0, **{kind: lost})
    assert criterion.met(1.0 - lost)
    assert not criterion.met(1.0 - lost - 1 / (n * tied))


def test_hundredths_meet_their_own_sum_in_decimals():
    assert Criterion("top1", baseline=0.99, absolute=0.33).met(0.66 - 1e-10)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "top1", "relative": 0.01}, "baseline"),
        ({"metric": "top1", "baseline": 0.8}, "0 bounds"),
        ({"metric": "top1", "baseline": 0.8, "relative": 0.01, "absolute": 0.01}, "2 bounds"),
        ({"metric": "agreement", "baseline": 0.8, "relative": 0.01}, "agreement"),
        ({"metric": "top1", "minimum": 0.9}, "top1"),
        ({"metric": "none", "minimum": 0.9}, "1 bounds"),
    ],
)
def test_a_criterion_that_does_not_say_one_thing_is_refused(fields: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Criterion(**fields)


class Measured(NamedTuple):
    ratio: float
    low: float | None
    high: float | None


@pytest.mark.parametrize(
    ("ratio", "low", "high", "floor", "outcome"),
    [
        (1.2, 1.1, 1.3, 0.01, "met"),
        (0.98, 0.95, 1.01, 0.01, "met"),  # may be as fast
        (0.98, 0.97, 0.992, 0.01, "met"),  # below by no more than the noise floor
        (0.97, 0.96, 0.98, 0.01, "not met"),
        (0.97, 0.96, 0.98, None, "not met"),
        (0.99, None, None, 0.02, "met"),  # too few rounds for an interval: the ratio decides
        (0.9, None, None, 0.02, "not met"),
        (0.45, 0.4, 0.49, 1.0, "not met"),  # fp32 seems twice as fast as itself: less than half is still slower
        (0.55, 0.5, 0.6, 1.0, "met"),
    ],
)
def test_a_model_is_too_slow_only_if_that_is_shown(ratio, low, high, floor, outcome):
    assert SpeedCriterion(min_speedup=1.0).outcome(Measured(ratio, low, high), floor) == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(1.0, 1.2, "met"), (0.99, 1.2, "inconclusive"), (0.8, 0.9, "not met"), (None, None, "inconclusive")],
)
def test_with_a_certainty_the_lower_end_has_to_reach_it(low, high, outcome):
    criterion = SpeedCriterion(min_speedup=1.0, confidence=0.95)
    assert criterion.outcome(Measured(1.0 if low is None else (low + high) / 2, low, high), 0.01) == outcome


def test_slower_is_slower_than_fp32_itself():
    assert is_slower(Measured(0.97, 0.96, 0.98))
    assert not is_slower(Measured(0.97, 0.96, 0.98), 0.05)
    assert not is_slower(Measured(1.3, 1.2, 1.4))


def test_several_outcomes_are_met_only_together():
    assert overall(["met", "met"]) == "met"
    assert overall(["met", "inconclusive"]) == "inconclusive"
    assert overall(["inconclusive", "not met", "met"]) == "not met"
    with pytest.raises(ValueError, match="no verdict"):
        overall([])


@pytest.mark.parametrize(("ratio", "outcome"), [(0.75, "inconclusive"), (1.3, "met")])
def test_a_ratio_of_too_few_rounds_for_an_interval_shows_no_model_too_slow(ratio, outcome):
    unbounded = Measured(ratio, None, None)
    assert SpeedCriterion().shown(unbounded) == outcome
    assert not is_shown_slower(unbounded)


def test_a_ratio_with_its_interval_shows_it():
    assert SpeedCriterion().shown(Measured(0.75, 0.7, 0.8)) == "not met"
    assert is_shown_slower(Measured(0.75, 0.7, 0.8))
