"""A server whose every call runs in a fork of it, within bounds: what one call breaks, the next one does not see.

The server has loaded what calls need (half a second); a fork has that at once. It never runs a call itself, so it has
no thread but the one that listens to its parent, and forking it is safe.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

import psutil

from quantize.processes.calls import from_text, raised
from quantize.processes.parent import Message, Parent, end_with_parent
from quantize.processes.watch import Watch, limit_files, limit_memory

_POLL_SECONDS = 0.02
_LONGEST_TICK = 0.5
_READ_BYTES = 1 << 16
_STDERR_BYTES = 1 << 14
_STDERR_LINES = 20
_LONGEST_ANSWER = 1 << 26


def serve_forks(parent: Parent) -> None:
    """Answer call after call, each from a fork."""
    while True:
        message = parent.receive()
        call = (from_text(message["function"]), from_text(message["argument"]))  # imports the function's module
        parent.send(_Fork(call, message["seconds"], message["memory_bytes"], message["folder"]).answer())


class _Fork:
    """One call: forked on construction, watched by ``answer``."""

    def __init__(self, call: tuple[Any, Any], seconds: float, memory_bytes: int, folder: str | None) -> None:
        self._seconds, self._memory_bytes = seconds, memory_bytes
        self._stage: str | None = None
        self._ended = False
        self._said, self._printed = bytearray(), bytearray()
        said, to_say = os.pipe()
        printed, to_print = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(said)
            os.close(printed)
            _run(call, memory_bytes, folder, to_say, to_print)
        os.close(to_say)
        os.close(to_print)
        self._pipes = selectors.DefaultSelector()
        self._pipes.register(said, selectors.EVENT_READ, self._said)
        self._pipes.register(printed, selectors.EVENT_READ, self._printed)

    def answer(self) -> Message:
        """Return what the call gave, or how it ended."""
        try:
            return self._watched()
        finally:
            if not self._ended:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            for key in list(self._pipes.get_map().values()):
                os.close(key.fd)
            self._pipes.close()

    def _watched(self) -> Message:
        # Time in which this process, too, stood still (a laptop asleep, SIGSTOP) is not the call's. Nor is what the
        # call waited for a CPU that others had, up to twice the time that it may take.
        used, before, looked = 0.0, time.monotonic(), 0.0
        while True:
            answer = self._read() if self._pipes.get_map() else self._end()
            if answer is not None:
                return answer
            now = time.monotonic()
            used, before = used + min(now - before, _LONGEST_TICK), now
            if used > self._seconds and used - min(self._waited(), 2 * self._seconds) > self._seconds:
                return self._failed("time", f"it took longer than {self._seconds:g} s")
            if now - looked > _POLL_SECONDS:
                looked = now
                if self._resident() > self._memory_bytes:
                    return self._failed("memory", f"it took more than {self._memory_bytes / 1e6:,.0f} MB of memory")

    def _end(self) -> Message | None:
        """Return how a fork that has closed its pipes ended; None while it has not."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            time.sleep(_POLL_SECONDS)
            return None
        self._ended = True
        code = os.waitstatus_to_exitcode(status)
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return self._failed("ended", f"it ended {how}", code)

    def _read(self) -> Message | None:
        """Take in what was said and printed, and return the answer when it is whole."""
        for key, _ in self._pipes.select(_POLL_SECONDS):
            content = os.read(key.fd, _READ_BYTES)
            if not content:
                self._pipes.unregister(key.fd)
                os.close(key.fd)
            key.data.extend(content)
            if key.data is self._printed:
                del self._printed[:-_STDERR_BYTES]
        while (end := self._said.find(b"\n")) >= 0:
            line = bytes(self._said[:end])
            del self._said[: end + 1]
            answer = self._taken(line)
            if answer is not None:
                return answer
        if len(self._said) > _LONGEST_ANSWER:
            return self._failed("garbled", "it said more than an answer may hold")
        return None

    def _taken(self, line: bytes) -> Message | None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            return self._failed("garbled", f"it said something that is not a message: {line[:80]!r}")
        if "stage" in message:
            self._stage = str(message["stage"])
        elif "memory_bytes" in message:
            self._memory_bytes = int(message["memory_bytes"])
        else:
            return {**message, "stage": self._stage}
        return None

    def _waited(self) -> float:
        """Return how many seconds the fork was ready to run and had no CPU; 0 where the system does not say."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def _resident(self) -> int:
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:  # it has just ended: its pipes say so
            return 0

    def _failed(self, reason: str, how: str, code: int | None = None) -> Message:
        lines = self._printed.decode("utf-8", errors="replace").splitlines()
        printed = "\n".join(lines[-_STDERR_LINES:])
        return {"failed": reason, "how": how, "stderr": printed, "code": code, "stage": self._stage}


def _run(call: tuple[Any, Any], memory_bytes: int, folder: str | None, to_say: int, to_print: int) -> NoReturn:
    """Be the fork: make the call, say what it gave, and leave without any of the server's endings."""
    try:
        end_with_parent()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(to_print, 1)
        os.dup2(to_print, 2)
        if folder is not None:
            os.chdir(folder)
        limit_files()
        limit_memory(memory_bytes)
        _say(to_say, answered(call, Watch(lambda message: _say(to_say, message))))
    finally:
        os._exit(0)


def answered(call: tuple[Any, Any], watch: Watch) -> Message:
    """Return what ``function(argument, watch)`` gave, or raised, as a message."""
    function, argument = call
    try:
        return {"result": function(argument, watch)}
    except MemoryError:
        return {"failed": "memory", "how": "its memory was used up", "stderr": "", "code": None}
    except BaseException as error:  # noqa: BLE001 - raised in the parent
        return raised(error)


def _say(place: int, message: Message) -> None:
    content = json.dumps(message, allow_nan=False).encode("utf-8") + b"\n"
    while content:
        content = content[os.write(place, content) :]
