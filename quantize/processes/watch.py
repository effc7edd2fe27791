"""What a function that runs within bounds tells its watcher: where it is, and how much memory it may need."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from quantize.processes.parent import Message

_MEGABYTE = 1 << 20
# Of address space beyond what may be written to: libraries, the stacks of threads, files that are mapped.
_ADDRESSES = 2 << 30


class Watch:
    """Passed to a function that is called within bounds.

    Args:
        tell: Takes what the watcher is told.
    """

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell

    def stage(self, name: str) -> None:
        """Say what begins now, in words that finish "while ...": an error names the last one."""
        self._tell({"stage": name})

    def allow(self, memory_bytes: int) -> None:
        """Let this process grow to ``memory_bytes`` from here on, once it is known how much it may need."""
        limit_memory(memory_bytes)
        self._tell({"memory_bytes": memory_bytes})


def limit_memory(memory_bytes: int) -> None:
    """Have the kernel refuse this process more writable memory than ``memory_bytes``; nothing where it cannot."""
    if sys.platform == "win32":
        return
    import resource

    wanted = ((resource.RLIMIT_DATA, memory_bytes), (resource.RLIMIT_AS, memory_bytes + _ADDRESSES))
    for kind, size in wanted:
        _, hard = resource.getrlimit(kind)
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        with suppress(ValueError, OSError):  # macOS knows the limits and refuses them
            resource.setrlimit(kind, (size, hard))


def limit_files() -> None:
    """Have this process write no core file, and no file larger than a megabyte: it has none to write."""
    if sys.platform == "win32":
        return
    import resource

    for kind, size in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _MEGABYTE)):
        _, hard = resource.getrlimit(kind)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (size, hard))
