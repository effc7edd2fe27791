"""The child process that Neural Compressor runs in: started, listened to and ended."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import quantize
from quantize.engines.inc.messages import Message, read_message, write_message

_POLL_SECONDS = 0.5
_LOG_TAIL_LINES = 20


class TimeIsUpError(Exception):
    """The deadline passed before the child process said anything more."""


class ProcessEndedError(Exception):
    """The child process ended without saying so.

    Attributes:
        how: Its exit code or the signal that ended it, in words.
        killed: It was ended by SIGKILL, which is what the system does when memory runs out.
        log: The last lines that it printed.
    """

    def __init__(self, how: str, log: str, *, killed: bool) -> None:
        super().__init__(how)
        self.how = how
        self.log = log
        self.killed = killed


class WorkerProcess:
    """A running ``inc_worker``; a context manager that ends it, whatever happens.

    It is not in the terminal's foreground group: Ctrl-C reaches the engine, and the engine ends the child.

    Args:
        folder: The child's working directory; must exist.
        log: File that receives all that the child prints.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self._log = log
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        package_root = str(Path(quantize.__file__).resolve().parent.parent)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")])),
            "PYTHONHASHSEED": "0",  # the order of its sets of tensor names decides the order of nodes
            "PYTHONUNBUFFERED": "1",
            "PYTHONSAFEPATH": "1",
        }
        with log.open("wb") as printed:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "quantize.engines.inc.worker"],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to_child: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._listener.start()

    def _listen(self, stream: BinaryIO) -> None:
        while (message := read_message(stream)) is not None:
            self._messages.put(message)
        self._messages.put(None)

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ProcessEndedError: The child is gone.
        """
        try:
            write_message(self._to_child, message)
        except OSError:
            raise self._ended() from None

    def receive(self, deadline: float | None) -> Message:
        """Return the child's next message.

        Args:
            deadline: Value of ``time.monotonic()`` at which to give up, None to wait for ever.

        Raises:
            TimeIsUpError: The deadline passed.
            ProcessEndedError: The child ended without another message.
        """
        while True:
            left = _POLL_SECONDS if deadline is None else min(_POLL_SECONDS, deadline - time.monotonic())
            if left <= 0:
                raise TimeIsUpError
            try:
                message = self._messages.get(timeout=left)
            except queue.Empty:
                continue
            if message is None:
                raise self._ended()
            return message

    def _ended(self) -> ProcessEndedError:
        code = self._process.wait()
        how = f"it ended by signal {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return ProcessEndedError(how, "\n".join(lines[-_LOG_TAIL_LINES:]), killed=code == -9)

    def __enter__(self) -> WorkerProcess:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child and all that it started."""
        if self._process.poll() is None:
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        self._listener.join()
        with suppress(OSError):  # what was left to send has no reader
            self._to_child.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
