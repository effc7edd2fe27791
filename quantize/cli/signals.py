"""SIGTERM and SIGHUP end a command as Ctrl-C does: open work is cleaned up and child processes are stopped."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


_DELAY_SECONDS = 0.05
_MOST_DELAYS = 100


class Terminated(KeyboardInterrupt):
    """A signal other than Ctrl-C's asked the process to end."""


class Received:
    """The signals that asked a process to end: one may have met native code that makes another error of it.

    Attributes:
        last: The last one; None: none came.
        delays: How often one was put off.
    """

    last: signal.Signals | None = None
    delays: int = 0


@contextmanager
def interrupt_on_termination() -> Iterator[Received]:
    """Turn ending signals into an exception in this process; worker processes that inherit it just end.

    Yields:
        What has been received so far.
    """
    received = Received()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    process = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process and _is_importing(frame) and received.delays < _MOST_DELAYS:
            received.delays += 1
            _thread.start_new_thread(_send_later, (number,))
            return
        if number == signal.SIGINT:
            received.last = signal.Signals(number)
            signal.default_int_handler(number, frame)
        if os.getpid() != process:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.last = signal.Signals(number)
        raise Terminated(received.last.name)

    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # `nohup` asked for that
            signal.signal(number, end)
    try:
        yield received
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported: native ones print the traceback of what they are interrupted by."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _send_later(number: int) -> None:
    """Send this process a signal again, in a thread that takes no lock: the handler may have interrupted any code."""
    time.sleep(_DELAY_SECONDS)
    os.kill(os.getpid(), number)
