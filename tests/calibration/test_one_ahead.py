from __future__ import annotations

import threading

import pytest

from quantize.calibration.one_ahead import one_ahead


def test_results_come_in_order_and_an_error_comes_where_it_arose():
    assert list(one_ahead(lambda value: value * value, range(5))) == [0, 1, 4, 9, 16]
    assert list(one_ahead(str, [])) == []
    results = one_ahead(lambda value: 1 // value, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_the_next_value_is_computed_while_the_caller_has_this_one():
    began = threading.Event()

    def compute(value):
        if value == 1:
            began.set()
        return value

    results = one_ahead(compute, range(2))
    next(results)
    assert began.wait(timeout=10)
    assert list(results) == [1]
