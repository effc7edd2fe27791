from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.engines.native.search.ladder import Bisection, ladder, neighbours
from tests.engines.native.search.small_costs import NAMES, SENSITIVITIES, TIMES, costs, every_assignment


@given(TIMES, TIMES, SENSITIVITIES, SENSITIVITIES, st.floats(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_assignment_within_a_rungs_bound_and_on_the_hull_is_faster(float_ns, int8_ns, weights, tensors, convert):
    given_costs = costs(float_ns, int8_ns, weights, tensors, convert)
    rungs = ladder(given_costs)
    assert rungs
    times = [rung.time_ns for rung in rungs]
    bounds = [rung.sensitivity for rung in rungs]
    assert times == sorted(times)
    assert bounds == sorted(bounds, reverse=True)
    fastest = min(every_assignment(), key=given_costs.time_ns)
    if len(fastest) < len(NAMES):
        assert times[0] <= given_costs.time_ns(fastest) * 1.001 + 0.01 or len(rungs) == 1


def test_fp32_throughout_is_the_last_rung_and_the_only_one_where_integers_are_slower():
    slow_int8 = costs([1] * 5, [100] * 5, [1] * 5, [1] * 5, 1.0)
    assert [rung.float_ops for rung in ladder(slow_int8)] == [tuple(NAMES)]
    fast_int8 = costs([100] * 5, [1] * 5, [1] * 5, [1] * 5, 1.0)
    assert ladder(fast_int8)[0].float_ops == ()
    assert ladder(fast_int8)[-1].float_ops == tuple(NAMES)
    assert ladder(fast_int8, most=2)[-1].float_ops == tuple(NAMES)


def test_uint8_weights_are_taken_if_they_are_as_fast_or_worth_their_time():
    given_costs = replace(
        costs([1000] * 5, [100] * 5, [0.4] * 5, [0] * 5, 0.01),
        uint8_ns=dict(zip(NAMES, [101, 150, 300, 300, 300], strict=True)),
        uint8_weights=dict.fromkeys(NAMES, 0.1),
    )
    assert given_costs.uint8_ops(0.0) == {"a"}
    assert given_costs.uint8_ops(400.0) == {"a", "b"}
    assert given_costs.uint8_ops(1000.0) == set(NAMES)
    rungs = ladder(given_costs)
    assert rungs[0].uint8_ops == ("a",)
    assert any(set(rung.uint8_ops) > {"a"} for rung in rungs)
    for rung in rungs:
        decided = given_costs.with_uint8(frozenset(rung.uint8_ops))
        assert rung.time_ns == decided.time_ns(frozenset(rung.float_ops))
        assert rung.sensitivity == decided.sensitivity(frozenset(rung.float_ops))


def test_many_corners_are_thinned_out():
    given_costs = costs([500, 400, 300, 200, 100], [1] * 5, [0.5, 0.4, 0.2, 0.1, 0.01], [0] * 5, 0.01)
    assert len(ladder(given_costs)) > 3
    thinned = ladder(given_costs, most=3)
    assert len(thinned) == 3
    assert thinned[0] == ladder(given_costs)[0]


def test_neighbours_differ_in_one_op_or_a_pair_and_the_fastest_come_first():
    given_costs = costs([50] * 5, [49] * 5, [0] * 5, [0] * 5, 0.001, fixed=frozenset({"e"}))
    moves = list(neighbours(given_costs, frozenset({"e"})))
    assert moves
    for moved in moves:
        assert "e" in moved
        assert 1 <= len(moved - {"e"}) <= 2
    times = [given_costs.time_ns(moved) for moved in moves]
    assert times == sorted(times)
    assert all(time <= 1.02 * given_costs.time_ns(frozenset({"e"})) for time in times)


def searched(passing):
    """Run a bisection over rungs that pass or not; return it and the rungs tried."""
    bisection, tried = Bisection(len(passing)), []
    while (rung := bisection.next) is not None:
        tried.append(rung)
        bisection.record(rung, passed=passing[rung])
    return bisection, tried


@given(st.integers(1, 200), st.data())
def test_the_first_passing_rung_is_found_in_logarithmically_many_trials(count, data):
    first = data.draw(st.integers(0, count))
    bisection, tried = searched([index >= first for index in range(count)])
    assert bisection.first == (first if first < count else None)
    assert len(tried) == len(set(tried))
    assert len(tried) <= 2 + math.ceil(math.log2(count)) if count > 1 else len(tried) == 1


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_the_first_passed_even_if_passing_is_not_monotone(passing):
    bisection, tried = searched(passing)
    assert bisection.first is None or (passing[bisection.first] and bisection.first in tried)


def test_the_fastest_rung_comes_first():
    assert searched([True] * 10)[1] == [0]


def test_no_rung_is_no_search():
    assert Bisection(0).next is None
    assert Bisection(0).first is None
