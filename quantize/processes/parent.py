"""The parent as seen by a child process, and their messages: one JSON object per line.

JSON rather than pickle: nothing that a child says is ever executed.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

Message = dict[str, Any]

_LONGEST_MESSAGE = 1 << 28
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one message as a line of UTF-8 JSON and flush it.

    Raises:
        OSError: The other side is gone.
        ValueError: The message holds NaN or infinity.
    """
    stream.write(json.dumps(message, allow_nan=False, separators=(",", ":")).encode("utf-8") + b"\n")
    stream.flush()


def read_message(stream: BinaryIO) -> Message | None:
    """Return the next message, or None when the other side is gone (half a line counts as that).

    Raises:
        ValueError: The line is not a JSON object, or longer than 256 MiB.
    """
    line = stream.readline(_LONGEST_MESSAGE)
    if not line.endswith(b"\n"):
        if len(line) == _LONGEST_MESSAGE:
            raise ValueError("a message longer than 256 MiB")
        return None
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(f"a message that is not an object: {line[:80]!r}")
    return message


def end_with_parent() -> None:
    """Have Linux kill this process when the thread that started it ends, even while it is stuck in native code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))


class Parent:
    """The process that started this one, at the other end of standard input and output.

    Only messages reach the parent: whatever else prints to standard output goes to standard error. This process ends
    when the parent does. Linux kills it even while it is stuck in native code; elsewhere it ends as soon as a thread
    of its own may run.
    """

    def __init__(self) -> None:
        end_with_parent()
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._received: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, args=(os.fdopen(os.dup(0), "rb"),), daemon=True).start()

    def _listen(self, stream: BinaryIO) -> None:
        with suppress(OSError):
            while (message := read_message(stream)) is not None:
                self._received.put(message)
        os._exit(1)  # the parent is gone: nobody wants the result of work that may run for minutes more

    def send(self, message: Message) -> None:
        """Send one message; any thread may."""
        with self._lock:
            write_message(self._out, message)

    def receive(self) -> Message:
        """Wait for the next message."""
        return self._received.get()


def main() -> None:
    """Run the function that the command line names as ``module:function`` and give it its parent."""
    parent = Parent()
    module, _, function = sys.argv[1].partition(":")
    getattr(import_module(module), function)(parent)
