"""A child that opens file after file: a fresh fork where it died, took too long, or has opened many."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from quantize.processes.watch import limit_files

_FILES = 300
"""That one fork opens: what a file left behind in memory goes with it."""

Answer = TypeVar("Answer")


class ReusedChild(Generic[Answer]):
    """Calls a function on one file after the other in a process that may die of it."""

    def __init__(self, function: Callable[[str], Answer], *, seconds: float) -> None:
        """Begin; the first call starts the process.

        Args:
            function: Of a module that the process can import: takes a path, returns what can be pickled.
            seconds: That a call may take.
        """
        self._function, self._seconds = function, seconds
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([function.__module__])  # a fork has it at once
        self._process: multiprocessing.process.BaseProcess | None = None
        self._line: Connection | None = None
        self._calls = 0

    def __call__(self, place: str) -> Answer | None:
        """Return what the function makes of a file; None where the process died of it, or took too long."""
        if self._line is None or self._calls % _FILES == 0:
            self.close()
            self._line, other = self._context.Pipe()
            self._process = self._context.Process(target=_serve, args=(self._function, other), daemon=True)
            self._process.start()
            other.close()
        self._calls += 1
        try:
            self._line.send(place)
            if self._line.poll(self._seconds):
                answer: Answer = self._line.recv()
                return answer
        except (EOFError, OSError):
            pass
        self.close()
        return None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._line is not None:
            self._line.close()
        self._process = self._line = None


def _serve(function: Callable[[str], object], line: Connection) -> None:
    limit_files()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # onnxruntime says there what it does not like
    while True:
        line.send(function(line.recv()))
