"""Inference on several batches at a time, while the next one is prepared and the last one's scores are looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")


def overlapped(
    compute: Callable[[Given], Result], given: Iterable[Given], workers: int
) -> Iterator[tuple[Given, Result]]:
    """Yield each value and what is computed from it, in order, with ``workers`` of them computed at a time.

    Values are taken from ``given`` in the caller's thread, one ahead of what is computed, so that memory does not grow
    with their number.

    Args:
        compute: Called in other threads; it has to leave the interpreter to them, as inference does.
        given: The values.
        workers: Computed at a time; 1: one after the other, in the caller's thread.
    """
    if workers == 1:
        for value in given:
            yield value, compute(value)
        return
    pending: deque[tuple[Given, Future[Result]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for value in given:
                pending.append((value, pool.submit(compute, value)))
                if len(pending) > workers:
                    first, result = pending.popleft()
                    yield first, result.result()
            while pending:
                first, result = pending.popleft()
                yield first, result.result()
        finally:
            for _, result in pending:
                result.cancel()
