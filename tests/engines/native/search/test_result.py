from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from quantize.engines.native.search.result import AS_FAST, Candidate, as_fast, best_of, fastest_met, nearest, pareto
from quantize.engines.trial import Failure, Trial
from quantize.recipe import Recipe


def candidate(index, metric, speedup, *, met=True, speed="met", measured_ns=None, predicted_ns=None):
    trial = Trial(
        index, Recipe(engine="native", range_rule=f"r{index}"), None, metric, 1.0, Failure("quantize", "none")
    )
    return Candidate(
        trial=trial,
        met=met,
        speedup=speedup,
        predicted_ns=predicted_ns,
        measured_ns=measured_ns,
        stage="ladder",
        images=10,
        complete=True,
        speed=None if speedup is None else speed,
    )


def test_the_fastest_that_meets_the_goal_is_chosen():
    candidates = [candidate(0, 0.9, 3.0, met=False), candidate(1, 0.95, 2.0), candidate(2, 0.96, 2.5)]
    assert fastest_met(candidates) is candidates[2]


def test_neither_the_unmeasured_nor_what_is_too_slow_is_chosen():
    slow = [candidate(0, 0.99, None), candidate(1, 0.99, 0.9, speed="not met")]
    assert fastest_met(slow) is None
    same = candidate(2, 0.99, 0.998)
    assert fastest_met([*slow, same]) is same


def test_what_is_not_certainly_fast_enough_is_chosen_only_if_nothing_is():
    certain, uncertain = candidate(0, 0.99, 1.2), candidate(1, 0.99, 1.5, speed="inconclusive")
    assert fastest_met([certain, uncertain]) is certain
    assert fastest_met([uncertain]) is uncertain


def test_of_the_best_that_there_is_one_that_meets_the_goal_goes_before_a_more_accurate_one():
    slow, fast, nearer = candidate(0, 0.95, 1.1), candidate(1, 0.95, 1.3), candidate(2, 0.97, 2.0, met=False)
    assert best_of([slow, fast, nearer]) is fast
    assert best_of([nearer]) is nearer


def test_the_nearest_to_the_goal_is_the_one_with_the_highest_metric():
    candidates = [candidate(0, 0.9, 3.0), candidate(1, 0.95, 2.0), candidate(2, 0.95, 2.5), candidate(3, None, None)]
    assert nearest(candidates) is candidates[2]
    assert nearest([]) is None


def test_as_fast_are_those_that_noise_cannot_tell_from_the_fastest_of_those_that_meet_the_goal():
    speedups = (2.0, 2.0 * AS_FAST, 2.0 * AS_FAST**2.1, 9.0)
    candidates = [candidate(index, 0.9, speedup, met=speedup < 9) for index, speedup in enumerate(speedups)]
    assert as_fast(candidates) == (candidates[2],)
    assert as_fast([*candidates[:2], candidates[3]]) == (candidates[1], candidates[0])
    assert as_fast([candidates[3]]) == ()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.5, 4)), max_size=12))
def test_nothing_on_the_pareto_front_is_beaten_in_both(figures):
    candidates = [candidate(index, metric, speedup) for index, (metric, speedup) in enumerate(figures)]
    front = pareto(candidates)
    for best in front:
        for other in candidates:
            better = other.trial.metric > best.trial.metric and other.speedup > best.speedup
            assert not better
    for other in candidates:
        assert any(best.trial.metric >= other.trial.metric and best.speedup >= other.speedup for best in front)


def test_a_metric_of_fewer_images_does_not_decide_what_is_nearest():
    early, whole = replace(candidate(0, 0.99, 3.0), complete=False), candidate(1, 0.9, 2.0)
    assert nearest([early, whole]) is whole
    assert nearest([early]) is early
