"""Work spread over processes: bounded in memory, ended by Ctrl-C, gone when the parent is.

Not ``multiprocessing``: its forked workers inherit locks of onnxruntime's threads, and its spawned ones import the
caller's main script again, which runs a script without an ``if __name__ == "__main__":`` a second time.
"""

from __future__ import annotations

import os
import pickle
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from quantize.errors import DataError

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

# A worker process takes about as long to start as this many images take to decode.
_IMAGES_WORTH_A_WORKER = 64
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from quantize.data.workers import serve; serve()"


def available_cpus() -> int:
    """Return how many CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worth_workers(asked: int | None, images: int) -> int:
    """Return how many processes to use: those asked for, or one a CPU, but no more than pay for so few images."""
    return asked or min(available_cpus(), -(-images // _IMAGES_WORTH_A_WORKER))


def in_workers(task: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int) -> Iterator[Result]:
    """Yield ``task(chunk)`` for each chunk, in the order in which they are done.

    Each worker has one chunk at a time, so that memory does not grow with their number. With one worker, all happens
    in this process. When the caller stops early, by an error or Ctrl-C, the workers are ended at once.

    Args:
        task: A picklable callable; each worker gets it once.
        chunks: Its arguments, picklable.
        workers: Number of processes.

    Raises:
        DataError: A worker died.
        Exception: What ``task`` raised.
    """
    if workers <= 1:
        yield from map(task, chunks)
        return
    idle = [_start(task) for _ in range(workers)]
    every = list(idle)
    try:
        with selectors.DefaultSelector() as busy:
            for chunk in chunks:
                if not idle:
                    for process in _ready(busy):
                        yield _answer(process)
                        idle.append(process)
                process = idle.pop()
                _tell(process, chunk)
                busy.register(_stream(process.stdout), selectors.EVENT_READ, process)
            while busy.get_map():
                yield from map(_answer, _ready(busy))
    finally:
        for process in every:
            process.kill()
        for process in every:
            with process:
                pass


def serve() -> None:
    """Be a worker: read a task, then chunks, from standard input, and answer each until the input ends."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    task = pickle.load(questions)  # noqa: S301 - written by the parent process
    while True:
        try:
            chunk = pickle.load(questions)  # noqa: S301
        except EOFError:
            return
        answer: tuple[Any, Exception | None]
        try:
            answer = (task(chunk), None)
        except Exception as error:  # noqa: BLE001 - raised again in the parent
            answer = (None, error)
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:  # the parent was killed
            os._exit(1)


def _start(task: Any) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches the parent alone, which then ends its workers.
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    _tell(process, task)
    return process


def _tell(process: subprocess.Popen[bytes], message: Any) -> None:
    stream = _stream(process.stdin)
    try:
        pickle.dump(message, stream)
        stream.flush()
    except BrokenPipeError as error:
        raise _died(process) from error


def _ready(busy: selectors.BaseSelector) -> Iterator[subprocess.Popen[bytes]]:
    for key, _ in busy.select():
        busy.unregister(key.fileobj)
        yield key.data


def _answer(process: subprocess.Popen[bytes]) -> Any:
    try:
        result, error = pickle.load(_stream(process.stdout))  # noqa: S301 - written by our own worker
    except EOFError as ended:
        raise _died(process) from ended
    if error is not None:
        raise error
    return result


def _died(process: subprocess.Popen[bytes]) -> DataError:
    return DataError(
        "a worker process ended in the middle of its work",
        found=f"exit status {process.wait()}",
        advice="if memory ran out, use fewer workers or free some memory",
    )


def _stream(stream: Any) -> Any:
    assert stream is not None
    return stream
