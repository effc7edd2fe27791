"""Work spread over processes: bounded in memory, ended by Ctrl-C, gone when the parent is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from quantize.errors import DataError

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

_task: Callable[[Any], Any]


def available_cpus() -> int:
    """Return how many CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_workers(task: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int) -> Iterator[Result]:
    """Yield ``task(chunk)`` for each chunk, in the order in which they are done.

    Processes are spawned, not forked: onnxruntime's threads do not survive a fork. At most two chunks a worker are
    under way, so that memory does not grow with their number. With one worker all happens in this process.

    Args:
        task: A picklable callable; each worker gets it once.
        chunks: Its arguments, picklable.
        workers: Number of processes.

    Raises:
        DataError: A worker died.
    """
    if workers <= 1:
        yield from map(task, chunks)
        return
    resource_tracker.ensure_running()  # else it is started, and SIGINT let through again, in the middle of a spawn
    executor = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(task,)
    )
    pending: set[Future[Result]] = set()
    try:
        for chunk in chunks:
            if len(pending) >= 2 * workers:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            with _sigint_blocked():
                pending.add(executor.submit(_run, chunk))
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process ended in the middle of its work",
            advice="if memory ran out, use fewer workers; in a script of your own, make the call under"
            ' `if __name__ == "__main__":`',
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _begin(task: Callable[[Any], Any]) -> None:
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _run(chunk: Any) -> Any:
    return _task(chunk)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Hold Ctrl-C back while a worker is spawned: it inherits the mask, so that only this process answers it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
