"""Call a function in a process of its own within bounds on time and memory, at the price of a fork.

The first call starts a server (``processes.forks``), which then lives as long as this process.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from quantize.processes.calls import from_text, result_of, to_text
from quantize.processes.child import ChildError, ChildProcess
from quantize.processes.forks import answered
from quantize.processes.parent import Message, Parent
from quantize.processes.watch import Watch

_FORKS = "quantize.processes.forks:serve_forks"
_ONE = "quantize.processes.bounded:serve_one"
# One thread each: a fork has none of its parent's, and every thread takes address space.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
_GRACE_SECONDS = 30.0

Argument = TypeVar("Argument")


@dataclass
class _Server:
    child: ChildProcess | None = None
    owner: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def running(self) -> ChildProcess:
        """Return the server's process, started anew where it has ended, or where it is that of the forking process."""
        if self.child is None or self.owner != os.getpid() or not self.child.is_alive:
            self.close()
            self.child, self.owner = ChildProcess(_FORKS, name="opening models", environment=_ENVIRONMENT), os.getpid()
        return self.child

    def close(self) -> None:
        """End the server."""
        child, self.child = self.child, None
        if child is not None and self.owner == os.getpid():
            child.__exit__(None, None, None)


_SERVER = _Server()
atexit.register(_SERVER.close)


def call_within_bounds(
    function: Callable[[Argument, Watch], Any], argument: Argument, *, seconds: float, memory_bytes: int
) -> Any:
    """Return ``function(argument, watch)``, computed in a process of its own that ends with the call.

    Args:
        function: Of a module that a child can import; returns a JSON value.
        argument: Picklable.
        seconds: How long it may take. Time in which all processes stand still does not count.
        memory_bytes: How large it may grow, unless ``watch`` allows it more.

    Raises:
        QuantizeError: The function raised it.
        ChildError: The function raised something else, its process died, or a bound was reached.
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    request: Message = {"function": to_text(function), "argument": to_text(argument)}
    request |= {"seconds": seconds, "memory_bytes": memory_bytes, "folder": _working_folder()}
    answer = _from_fork(request) if hasattr(os, "fork") else _from_child(request)
    if "failed" in answer:
        code, stage = answer.get("code"), answer.get("stage")
        raise ChildError(answer["failed"], answer["how"], answer["stderr"], code=code, child=name, stage=stage)
    return result_of(answer, name)


def _working_folder() -> str | None:
    """Return where relative paths begin, which may be elsewhere than where the server was started."""
    try:
        return os.getcwd()  # noqa: PTH109 - a text for the server
    except FileNotFoundError:
        return None


def _from_fork(request: Message) -> Message:
    with _SERVER.lock:
        try:
            return _asked(request)
        except ChildError:  # the server itself, which no call can end: the thread that started it has ended
            return _asked(request)


def _asked(request: Message) -> Message:
    server = _SERVER.running()
    try:
        server.send(request)
        return server.receive()
    except BaseException:
        _SERVER.close()  # what it still says would be taken for the next call's answer
        raise


def _from_child(request: Message) -> Message:
    """Return the answer of a fresh process, where there are no forks (Windows)."""
    stage: str | None = None
    deadline = time.monotonic() + request["seconds"] + _GRACE_SECONDS
    with ChildProcess(_ONE, memory_bytes=request["memory_bytes"], environment=_ENVIRONMENT) as child:
        child.send(request)
        while True:
            try:
                message = child.receive(deadline)
            except ChildError as error:
                error.stage = stage
                raise
            if "memory_bytes" in message:
                child.allow(message["memory_bytes"])
            elif set(message) == {"stage"}:
                stage = message["stage"]
            else:
                return {**message, "stage": stage}


def serve_one(parent: Parent) -> None:
    """Make one call in this process."""
    message = parent.receive()
    call = (from_text(message["function"]), from_text(message["argument"]))
    parent.send(answered(call, Watch(parent.send)))
