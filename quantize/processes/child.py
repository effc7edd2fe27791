"""A child process: start it, exchange messages, limit it and end it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

import psutil

import quantize
from quantize.disk import refusals_told
from quantize.processes.parent import Message, read_message, write_message

# The parent's own path: a file next to the user that is called onnx.py must not be imported instead of the package.
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from quantize.processes.parent import main; main()"
_MEMORY_POLL_SECONDS = 0.05
_POLL_SECONDS = 0.5
_EXIT_POLL_SECONDS = 0.005
_SECONDS_TO_EXIT = 5.0
_STDERR_LINES = 20
_STDERR_BYTES = 1 << 16

Inbox = queue.SimpleQueue["tuple[ChildProcess, Message | ValueError | None]"]
"""What children said, oldest first: a message, why a line was none, or None at the end."""

Reason = Literal["ended", "time", "memory", "garbled", "raised"]


class ChildError(Exception):
    """A child process did not do what it was started for, and is gone.

    Attributes:
        child: Its name.
        reason: It ``ended`` by itself or by a signal, its ``time`` or ``memory`` was up, what it said was ``garbled``,
            or the function that it ran ``raised``.
        how: The reason in words.
        stderr: The last lines that it printed.
        exit_code: Its exit code; None when a signal ended it or its parent did.
        signal: The signal that ended it, unless its parent sent it.
        stage: What it was at, if it said so.
    """

    def __init__(
        self,
        reason: Reason,
        how: str,
        stderr: str = "",
        *,
        code: int | None = None,
        child: str = "a child process",
        stage: str | None = None,
    ) -> None:
        super().__init__(how)
        self.reason = reason
        self.how = how
        self.stderr = stderr
        self.child = child
        self.stage = stage
        self.exit_code = code if code is not None and code >= 0 else None
        self.signal = signal.Signals(-code) if code is not None and code < 0 else None

    @property
    def out_of_memory(self) -> bool:
        """Return whether memory probably ran out: a bound was exceeded, or the system sent SIGKILL."""
        return self.reason == "memory" or self.signal == signal.SIGKILL

    def __str__(self) -> str:
        """Return what happened, and below it what the child printed last."""
        return "\n".join(filter(None, [f"{self.child}: {self.how}", self.stderr]))


class ChildProcess:
    """A running child: a context manager that kills it, and all that it started, whatever happens.

    It is not in the terminal's foreground group: Ctrl-C reaches the parent, which then ends the child. It is killed
    rather than asked to end: a model that hangs in native code hears no SIGTERM.

    On Linux it also ends with the *thread* that started it (``PR_SET_PDEATHSIG``): start it in the one that uses it.

    Args:
        target: ``module:function``; the function is called with a ``Parent``.
        name: What errors call it; ``target`` when None.
        stderr: File that receives what it prints; a temporary one when None.
        folder: Its working directory; must exist. The parent's when None.
        environment: Variables set on top of the parent's.
        prefix: Command to start it with, such as ``numactl`` and its arguments.
        memory_bytes: Resident set size at which it is killed, looked at every 50 ms while a message is awaited.
        inbox: Where its messages go; children that share one are listened to together.
    """

    def __init__(
        self,
        target: str,
        *,
        name: str | None = None,
        stderr: Path | None = None,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        memory_bytes: int | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        self._name = name or target
        self._memory_bytes = memory_bytes
        self._inbox: Inbox = queue.SimpleQueue() if inbox is None else inbox
        # Opened for reading too: an error quotes the last lines.
        with refusals_told(Path(os.environ.get("TMPDIR") or "TMPDIR") if stderr is None else stderr):
            self._stderr: BinaryIO = tempfile.TemporaryFile() if stderr is None else stderr.open("w+b")  # noqa: SIM115
        root = str(Path(quantize.__file__).resolve().parent.parent)
        path = [str(Path(entry).absolute()) for entry in sys.path]
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-c", _PROGRAM, target, *dict.fromkeys([*path, root])],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to_child: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._from_child: BinaryIO = self._process.stdout  # type: ignore[assignment]
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def is_alive(self) -> bool:
        """Return whether it still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ChildError: It has ended.
        """
        try:
            write_message(self._to_child, message)
        except OSError:
            raise self.ended() from None

    def receive(self, deadline: float | None = None) -> Message:
        """Return its next message.

        Args:
            deadline: Value of ``time.monotonic()`` at which to give up; None: wait for ever.

        Raises:
            ChildError: The deadline passed, its memory grew too large, it ended, or it said something that is not a
                message.
        """
        poll = _POLL_SECONDS if self._memory_bytes is None else _MEMORY_POLL_SECONDS
        while True:
            left = poll if deadline is None else min(poll, deadline - time.monotonic())
            if left <= 0:
                raise self._killed("time", "it took longer than it may")
            try:
                _, message = self._inbox.get(timeout=left)
            except queue.Empty:
                self._check_memory()
                continue
            return self.checked(message)

    def checked(self, message: Message | ValueError | None) -> Message:
        """Return what the inbox held for this child if it is a message.

        Raises:
            ChildError: It ended, or said something that is not a message.
        """
        if message is None:
            raise self.ended()
        if isinstance(message, ValueError):
            raise self._killed("garbled", f"it said something that is not a message: {message}")
        return message

    def allow(self, memory_bytes: int) -> None:
        """Let it grow to another resident set size than it was started with."""
        self._memory_bytes = memory_bytes

    def ended(self) -> ChildError:
        """Return how it ended; for when it said nothing more."""
        self._await_exit()
        code = self._end()
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return ChildError("ended", f"it ended {how}", self._last_lines(), code=code, child=self._name)

    def __enter__(self) -> ChildProcess:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and all that it started."""
        self._end()
        self._listener.join()
        with suppress(OSError):  # what was left to send has no reader
            self._to_child.close()
        self._from_child.close()
        self._stderr.close()

    def _listen(self) -> None:
        try:
            while (message := read_message(self._from_child)) is not None:
                self._inbox.put((self, message))
            self._inbox.put((self, None))
        except (ValueError, RecursionError) as error:
            self._inbox.put((self, ValueError(str(error))))

    def _check_memory(self) -> None:
        if self._memory_bytes is None:
            return
        with suppress(psutil.Error):  # it has just ended: the listener will say so
            if psutil.Process(self.pid).memory_info().rss > self._memory_bytes:
                raise self._killed("memory", f"it took more than {self._memory_bytes / 2**20:.0f} MiB of memory")

    def _await_exit(self) -> None:
        """Give a child that has closed its output the time to exit by itself, and keep its process id taken."""
        if self._process.returncode is not None:
            return
        if not hasattr(os, "waitid"):  # Windows, and macOS before Python 3.13: what it started may outlive it
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_SECONDS_TO_EXIT)
            return
        give_up = time.monotonic() + _SECONDS_TO_EXIT
        while time.monotonic() < give_up:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(_EXIT_POLL_SECONDS)

    def _end(self) -> int:
        """Kill it and its group, unless that was done, and return its exit code or minus the signal."""
        if self._process.returncode is None:
            if os.name == "posix":
                with suppress(ProcessLookupError, PermissionError):  # macOS: a group of zombies may not be killed
                    os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()
        return self._process.wait()

    def _killed(self, reason: Reason, how: str) -> ChildError:
        self._end()
        return ChildError(reason, how, self._last_lines(), child=self._name)

    def _last_lines(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _STDERR_BYTES))
        lines = self._stderr.read().decode("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_STDERR_LINES:])
