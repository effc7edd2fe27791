"""The memory that a process holds now and held at its peak, and giving back what it does not use."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_TRIM, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX of malloc.h


def resident_bytes() -> int:
    """Return the resident set size of this process now, in bytes."""
    return int(psutil.Process().memory_info().rss)


def peak_resident_bytes(pid: int | None = None) -> int | None:
    """Return the largest resident set size of a process so far, in bytes; None if unknown.

    Args:
        pid: Of a child process, which may have ended (the result is then None); None for this process.

    On Linux it is the kernel's high-water mark of this process's memory (``VmHWM``). ``getrusage`` would not do
    there: a child begins with its parent's maximum.
    """
    if Path("/proc/self/status").is_file():
        for line in _status("self" if pid is None else str(pid)).splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None
    if sys.platform == "win32":
        return int(psutil.Process(pid).memory_info().peak_wset)
    if pid is not None:
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(process: str) -> str:
    try:
        return Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def forget_peak() -> bool:
    """Reset the high-water mark if the kernel allows it, and return whether it did."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def give_back_unused() -> None:
    """Return freed memory to the system, where the C library can (glibc).

    It keeps what sessions and arrays have freed, scattered over an arena for every thread: hundreds of megabytes that
    the next step does not find again. It takes milliseconds, and is for the end of a step, not for its middle.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def keep_little_unused() -> None:
    """Make the C library return large blocks as they are freed, where it can (glibc), in this process from now on.

    By itself it returns none below 32 MB once one has been freed, and has eight arenas for a core, in which what
    sessions and arrays free lies scattered: half of the memory of a run. A page that was returned costs a fault when
    it is used again, so blocks of less than 4 MB are kept. Sessions that are timed have memory of their own.
    """
    set_option = _of_glibc("mallopt")
    if set_option is not None:
        for option, value in ((_ARENA_MAX, max(2, os.cpu_count() or 1)), (_MMAP_THRESHOLD, 4 << 20), (_TRIM, 16 << 20)):
            set_option(option, value)


@cache
def _of_glibc(function: str) -> Any:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), function, None)
