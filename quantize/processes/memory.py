"""The memory that a process holds now and held at its peak."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


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
