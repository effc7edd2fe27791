"""What the system's refusals of files mean: where it happened, how much was needed, and what to do."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quantize.cache_folder import VARIABLE, user_cache
from quantize.errors import ConfigError, QuantizeError, ResourceError, StorageError

SCRATCH = "quantize-"
"""Beginning of the names of this program's own folders in the folder for temporary files."""

_FULL = 1 << 16
"""Free bytes below which what native code could not write was for want of space: it does not say so itself."""

_SPACE = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_HANDLES = (errno.EMFILE, errno.ENFILE)

OUTSIDE = (
    *(*_SPACE, *_REFUSED, *_HANDLES, errno.EFBIG, errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOMEM),
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ETXTBSY, errno.ENOLCK, errno.EBUSY),
)
"""Errors of the system that no program can be blamed for, whatever it was doing."""


def is_refusal(error: BaseException) -> bool:
    """Return whether the system refused something that no program can be blamed for.

    numpy's ``tofile`` keeps the system's reason to itself where it could not write all, as for an array of ``save``.
    """
    if not isinstance(error, OSError):
        return False
    return error.errno in OUTSIDE or (error.errno is None and "requested and" in str(error) and "written" in str(error))


def storage_error(error: OSError, path: Path | None = None, *, needed: int | None = None) -> StorageError:
    """Return what a refusal of the system means to the user.

    Args:
        error: What the system said.
        path: The file that was to be written or read; None: what ``error`` names.
        needed: Bytes that were to be written.
    """
    if path is None and error.filename is not None:
        path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else None
    problem, found, advice = _in_words(error, path)
    room = None if needed is None or error.errno not in _SPACE else f"room for {size_words(needed)}"
    return StorageError(problem, where=None if path is None else str(path), found=found, expected=room, advice=advice)


@contextmanager
def refusals_told(path: Path, *, needed: int | None = None) -> Iterator[None]:
    """Tell what the system refuses inside the block as an error on ``path``.

    Args:
        path: The file that is written.
        needed: Bytes that are written.

    Raises:
        StorageError: The system refused something.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, needed=needed) from error


def full_disk(place: Path) -> StorageError | None:
    """Return that the disk of a place is full, if it is: native code that cannot write there seldom says so itself."""
    room = free_bytes(place)
    if room is None or room >= _FULL:
        return None
    return storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), place)


def refused_by_the_system(error: BaseException) -> QuantizeError | None:
    """Return what the system refused, if an exception that nobody expected came of that; None: it is a bug.

    Args:
        error: An exception; those that led to it are looked at too.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, StorageError):
            return seen
        if isinstance(seen, MemoryError):
            return ResourceError(
                "memory ran out",
                found=str(seen) or None,
                advice="end other programs, or take a machine with more memory",
            )
        if isinstance(seen, OSError) and is_refusal(seen):
            return storage_error(seen)
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, KeyboardInterrupt):
        return None
    for place in (Path(tempfile.gettempdir()), Path.cwd()):
        full = full_disk(place)
        if full is not None:
            return full
    return None


def not_written(path: Path, error: Exception) -> StorageError:
    """Return that a file is torn or missing which native code has written: it seldom says so itself.

    Args:
        path: The file.
        error: What reading it came to.
    """
    return full_disk(path) or StorageError(
        "a file could not be written whole",
        where=str(path),
        found=str(error).splitlines()[0] if str(error) else type(error).__name__,
        expected="room, and the right to write there",
        advice=place_advice(path),
    )


def free_bytes(place: Path) -> int | None:
    """Return how much may still be written at a place that may not be there yet; None if that is not known."""
    nearest = place.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        return shutil.disk_usage(nearest).free
    except OSError:
        return None


def size_words(size: int) -> str:
    """Return a number of bytes as people read it."""
    if size < 1000:
        return f"{size} bytes"
    unit, power = next((name, p) for name, p in (("kB", 3), ("MB", 6), ("GB", 9)) if size < 10 ** (p + 3) or p == 9)
    return f"{size / 10**power:,.1f} {unit}"


def place_advice(path: Path | None) -> str:
    """Return how another place is named for what was to lie here."""
    if path is None:
        return "name another place"
    place = path.absolute()
    temporary = Path(tempfile.gettempdir()) if tempfile.tempdir is not None else None
    if temporary is not None and (
        place == temporary or (temporary in place.parents and place.relative_to(temporary).parts[0].startswith(SCRATCH))
    ):
        return "set TMPDIR to another folder"
    with suppress(ConfigError):
        if user_cache().absolute() in (place, *place.parents):
            return f"set {VARIABLE} to another folder"
    return "name another place with --output_model, or --output"


def _in_words(error: OSError, path: Path | None) -> tuple[str, str | None, str]:
    """Return the problem, what was found, and what to do."""
    said, elsewhere = error.strerror or str(error), place_advice(path)
    if error.errno in _SPACE:
        what = "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
        return f"{what} ({said})", _room(path), f"free some space there, or {elsewhere}"
    if error.errno == errno.EFBIG:
        return f"a file may not grow that large ({said})", _file_limit(), "raise the limit: ulimit -f unlimited"
    if error.errno in _HANDLES:
        return f"too many files are open ({said})", _handle_limit(), "raise the limit: ulimit -n 1024"
    if error.errno == errno.EROFS:
        return f"the file system is read-only ({said})", None, elsewhere
    if error.errno in _REFUSED:
        return f"no permission ({said})", None, f"allow it there, or {elsewhere}"
    if error.errno == errno.ENOENT and path is not None and not path.parent.is_dir():
        return (
            "the folder is gone",
            f"no folder {path.parent}",
            f"do not remove it while the command is at work, or {elsewhere}",
        )
    if error.errno in (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO):
        return f"the disk reports an error ({said})", None, f"look after the disk, or {elsewhere}"
    if error.errno == errno.ENAMETOOLONG:
        return said, None, "take a shorter name"
    return said, None, elsewhere


def _room(path: Path | None) -> str | None:
    room = None if path is None else free_bytes(path)
    return None if room is None else f"{size_words(room)} free"


def _file_limit() -> str | None:
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if soft == resource.RLIM_INFINITY else f"a limit of {size_words(soft)} for a file"


def _handle_limit() -> str | None:
    if sys.platform == "win32":
        return None
    import resource

    return f"a limit of {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} open files"
