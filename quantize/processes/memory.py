"""The memory that a process holds now and held at its peak, and giving back what it does not use."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_LARGEST_THRESHOLD = 32 << 20


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


@contextmanager
def large_blocks_given_back() -> Iterator[None]:
    """Return each freed block of a megabyte or more to the system at once meanwhile, where the C library can (glibc).

    That costs a fault for every page that is used again, so it is for steps that hold all tensors of an image, in
    memory that the steps before left scattered. Afterwards it is so from ``_LARGEST_THRESHOLD`` on, to which glibc
    would have raised it by itself.
    """
    set_option = _of_glibc("mallopt")
    if set_option is None:
        yield
        return
    give_back_unused()
    set_option(_MMAP_THRESHOLD, 1 << 20)
    try:
        yield
    finally:
        set_option(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        give_back_unused()


@cache
def _of_glibc(function: str) -> Any:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), function, None)
