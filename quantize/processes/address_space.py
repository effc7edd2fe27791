"""Bound what a call into native code may allocate, in this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def allocating_at_most(size: int) -> Iterator[None]:
    """Let this process grow by ``size`` bytes of address space at most, within the block.

    A decoder that takes a stranger's word for a size fails with MemoryError instead of taking all of the machine's
    memory. The bound is the process's: other threads share it. Where the system has none, nothing is bounded.

    Args:
        size: Bytes; files that are mapped within the block count too.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = _address_space() + size
    if any(limit not in (resource.RLIM_INFINITY, -1) and limit <= bound for limit in (before, hard)):
        yield  # it is bounded more tightly already
        return
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")
