from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.engines.protocols import Failure, Goal, Trial
from quantize.recipe import Recipe

fractions = st.floats(0, 1)


def test_a_relative_goal_is_a_share_of_the_baseline():
    assert Goal("top1", baseline=0.5, relative=0.01).floor() == pytest.approx(0.495)


def test_an_absolute_goal_is_in_fractions():
    assert Goal("top1", baseline=0.5, absolute=0.01).floor() == pytest.approx(0.49)


def test_of_several_bounds_all_hold():
    goal = Goal("top1", baseline=0.5, relative=0.1, absolute=0.01, minimum=0.2)
    assert goal.floor() == pytest.approx(0.49)


def test_without_a_metric_everything_passes():
    assert Goal("none").floor() is None
    assert Goal("none").met(None)


def test_what_was_not_measured_does_not_meet_a_goal():
    assert not Goal("agreement", minimum=0.95).met(None)


@given(fractions, fractions)
def test_the_floor_itself_passes(baseline: float, relative: float):
    goal = Goal("top1", baseline=baseline, relative=relative)
    floor = goal.floor()
    assert floor is not None
    assert goal.met(floor)
    assert not goal.met(floor - 1e-6)


def test_a_drop_without_a_baseline_is_refused():
    with pytest.raises(ValueError, match="baseline"):
        Goal("top1", relative=0.01)


def test_a_goal_without_a_bound_is_refused():
    with pytest.raises(ValueError, match="no bound"):
        Goal("agreement", baseline=1.0)


def test_a_trial_needs_a_candidate_or_a_failure():
    with pytest.raises(ValueError, match="either"):
        Trial(0, Recipe(engine="inc"), None, 0.5, 1.0)


def test_a_trial_takes_no_nan_for_a_metric():
    with pytest.raises(ValueError, match="nan"):
        Trial(0, Recipe(engine="inc"), None, float("nan"), 1.0, Failure("evaluate", "it broke"))
