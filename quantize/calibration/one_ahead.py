"""Compute the next value while the caller works on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")


def one_ahead(compute: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[Result]:
    """Yield ``compute(value)`` for all values, in order; the next one is computed while the caller has this one."""
    with ThreadPoolExecutor(1) as pool:
        pending: Future[Result] | None = None
        for value in given:
            following = pool.submit(compute, value)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()
