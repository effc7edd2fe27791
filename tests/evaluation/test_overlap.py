"""Inference on several batches at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from quantize.evaluation.overlap import overlapped


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_what_was_given(workers: int) -> None:
    first = threading.Event()

    def compute(value: int) -> int:
        if value == 0 and workers > 1:
            assert first.wait(30)  # the second one is done before the first
        first.set()
        return value * value

    assert list(overlapped(compute, range(20), workers)) == [(value, value * value) for value in range(20)]


def test_values_are_taken_one_ahead_of_what_is_computed() -> None:
    taken = []

    def given() -> Iterator[int]:
        for value in range(100):
            taken.append(value)
            yield value

    for value, _ in overlapped(lambda value: value, given(), 2):
        assert len(taken) <= value + 3


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_ends_all_of_it(workers: int) -> None:
    def compute(value: int) -> int:
        if value == 4:
            raise ValueError("broken")
        return value

    with pytest.raises(ValueError, match="broken"):
        list(overlapped(compute, range(100), workers))
