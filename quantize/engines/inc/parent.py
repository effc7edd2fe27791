"""The engine as seen by its child process: jobs and answers, a sink for log records, a source of images."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from quantize.processes.parent import Message, Parent
from quantize.processes.refusal import refusal_of


class Engine:
    """The engine at the other end, which gets the stage that this process is in and how it failed."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self.stage = "start"

    def send(self, kind: str, **content: object) -> None:
        """Send one message."""
        self._parent.send({"kind": kind, **content})

    def receive(self) -> Message:
        """Wait for the next message."""
        return self._parent.receive()

    def enter(self, stage: str) -> None:
        """Announce the stage that begins."""
        if stage != self.stage:
            self.stage = stage
            self.send("stage", stage=stage)

    def fail(self, error: BaseException) -> None:
        """Say what went wrong, and in which stage."""
        detail = "".join(traceback.format_exception(error))
        said, refused = f"{type(error).__name__}: {error}", refusal_of(error)
        self.send("failed", stage=self.stage, error=said, traceback=detail, refused=refused)


class SentLog(logging.Handler):
    """Sends Neural Compressor's log records to the engine instead of printing them."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record's level and text."""
        self._engine.send("log", level=record.levelno, text=record.getMessage())


class CalibrationImages:
    """Iterates (images, 0) over a memory-mapped file, as Neural Compressor's calibration wants it."""

    def __init__(self, path: str, shape: list[int], batch_size: int) -> None:
        self._images = np.memmap(path, dtype=np.float32, mode="r", shape=tuple(shape))
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[np.ndarray[Any, Any], int]]:
        for start in range(0, len(self._images), self.batch_size):
            yield np.array(self._images[start : start + self.batch_size]), 0
