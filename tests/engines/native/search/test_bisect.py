from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from quantize.engines.native.search.bisect import Bisection


def searched(passing):
    """Run a bisection over rungs that pass or not; return it and the rungs tried."""
    bisection, tried = Bisection(len(passing)), []
    while (rung := bisection.next) is not None:
        tried.append(rung)
        bisection.tell(rung, passed=passing[rung])
    return bisection, tried


@given(st.integers(1, 200), st.data())
def test_the_first_passing_rung_is_found_in_logarithmically_many_trials(count, data):
    first = data.draw(st.integers(0, count))
    bisection, tried = searched([index >= first for index in range(count)])
    assert bisection.found == (first if first < count else None)
    assert len(tried) == len(set(tried))
    assert len(tried) <= 2 + math.ceil(math.log2(count)) if count > 1 else len(tried) == 1


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_what_is_found_passed_even_where_passing_is_not_monotone(passing):
    bisection, tried = searched(passing)
    assert bisection.found is None or (passing[bisection.found] and bisection.found in tried)


def test_the_fastest_rung_comes_first():
    assert searched([True] * 10)[1] == [0]


def test_no_rung_is_no_search():
    assert Bisection(0).next is None
    assert Bisection(0).found is None
