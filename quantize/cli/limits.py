"""Limits of the system that no command can work within, told before it begins rather than by what breaks first."""

from __future__ import annotations

import sys

from quantize.errors import ConfigError

FEWEST_FILES = 64
"""Open files that a command needs: libraries while they are loaded, pipes of a few workers, the run's own."""

LEAST_ADDRESSES = 2 * 10**9
"""Bytes of address space that a command needs; below, native code dies instead of telling."""


def refuse_narrow_limits() -> None:
    """Raise the number of open files to what is allowed, and refuse limits that are too low.

    Raises:
        ConfigError: The system allows too few open files, or too little address space.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 4 * FEWEST_FILES and soft != hard:
        soft = 4 * FEWEST_FILES if hard == resource.RLIM_INFINITY else min(4 * FEWEST_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft != resource.RLIM_INFINITY and soft < FEWEST_FILES:
        raise ConfigError(
            "the system allows too few open files",
            where="ulimit -n",
            found=str(soft),
            expected=f"{FEWEST_FILES} or more",
            advice="say `ulimit -n 1024` in the shell that starts this",
        )
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most not in (resource.RLIM_INFINITY, -1) and most < LEAST_ADDRESSES:
        raise ConfigError(
            "the system allows too little address space",
            where="ulimit -v",
            found=f"{most / 1e9:.1f} GB",
            expected=f"{LEAST_ADDRESSES / 1e9:.0f} GB or more; bound resident memory instead",
            advice="say `ulimit -v unlimited` in the shell that starts this",
        )
