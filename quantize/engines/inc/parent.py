"""The engine as its child process sees it: messages both ways, where log records go, where images come from."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from quantize.engines.inc.messages import Message, read_message, write_message


class Parent:
    """The engine at the other end of standard input and output."""

    def __init__(self) -> None:
        # Whatever else prints must not end up between the messages: file descriptor 1 becomes standard error.
        self._out: BinaryIO = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._received: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.stage = "start"
        threading.Thread(target=self._listen, args=(os.fdopen(os.dup(sys.stdin.fileno()), "rb"),), daemon=True).start()

    def _listen(self, stream: BinaryIO) -> None:
        while (message := read_message(stream)) is not None:
            self._received.put(message)
        # The engine is gone, perhaps killed: nobody wants the result of a calibration that runs for minutes more.
        os._exit(1)

    def send(self, kind: str, **content: object) -> None:
        """Send one message."""
        with self._lock:
            write_message(self._out, {"kind": kind, **content})

    def receive(self) -> Message:
        """Wait for the next message."""
        return self._received.get()

    def enter(self, stage: str) -> None:
        """Say what is being done from now on."""
        if stage != self.stage:
            self.stage = stage
            self.send("stage", stage=stage)

    def fail(self, error: BaseException) -> None:
        """Say what went wrong, and in which stage."""
        detail = "".join(traceback.format_exception(error))
        self.send("failed", stage=self.stage, error=f"{type(error).__name__}: {error}", traceback=detail)


class SentLog(logging.Handler):
    """Sends Neural Compressor's log records to the engine instead of printing them."""

    def __init__(self, parent: Parent) -> None:
        super().__init__()
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record's level and text."""
        self._parent.send("log", level=record.levelno, text=record.getMessage())


class CalibrationImages:
    """Iterates (images, 0) over a memory-mapped file, as Neural Compressor's calibration wants it."""

    def __init__(self, path: str, shape: list[int], batch_size: int) -> None:
        self._images = np.memmap(path, dtype=np.float32, mode="r", shape=tuple(shape))
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[np.ndarray[Any, Any], int]]:
        for start in range(0, len(self._images), self.batch_size):
            yield np.array(self._images[start : start + self.batch_size]), 0
