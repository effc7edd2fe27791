"""Distribute work over processes that are limited in memory, end on Ctrl-C and never outlive their parent.

Not ``multiprocessing``: its forked workers inherit locks of onnxruntime's threads, and its spawned ones import the
caller's main script again, which runs a script without an ``if __name__ == "__main__":`` a second time.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

from quantize.processes.calls import from_text, to_text
from quantize.processes.child import ChildProcess, Inbox
from quantize.processes.parent import Message, Parent

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

_TARGET = "quantize.processes.pool:serve_chunks"


def available_cpus() -> int:
    """Return how many CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_children(task: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int) -> Iterator[Result]:
    """Yield ``task(chunk)`` for each chunk, in the order in which they are done.

    Each worker has one chunk at a time, so that memory does not grow with their number. With one worker, all happens
    in this process. When the caller stops early, by an error or Ctrl-C, the workers are ended at once.

    Args:
        task: A picklable callable; each worker gets it once.
        chunks: Its arguments, picklable.
        workers: Number of processes.

    Raises:
        ChildError: A worker died.
        Exception: What ``task`` raised.
    """
    if workers <= 1:
        yield from map(task, chunks)
        return
    inbox: Inbox = queue.SimpleQueue()
    with ExitStack() as stack:
        idle = [stack.enter_context(ChildProcess(_TARGET, inbox=inbox)) for _ in range(workers)]
        for worker in idle:
            worker.send({"task": to_text(task)})
        for chunk in chunks:
            if not idle:
                worker, message = inbox.get()
                yield _result(worker.checked(message))
                idle.append(worker)
            idle.pop().send({"chunk": to_text(chunk)})
        for _ in range(workers - len(idle)):
            worker, message = inbox.get()
            yield _result(worker.checked(message))


def serve_chunks(parent: Parent) -> None:
    """Be a worker: get a task, then answer chunk after chunk until the parent ends this process."""
    task = from_text(parent.receive()["task"])
    while True:
        chunk = from_text(parent.receive()["chunk"])
        answer: Message
        try:
            answer = {"result": to_text(task(chunk))}
        except Exception as error:  # noqa: BLE001 - raised again in the parent
            answer = {"error": to_text(error)}
        parent.send(answer)


def _result(answer: Message) -> Any:
    if "error" in answer:
        raise from_text(answer["error"])
    return from_text(answer["result"])
