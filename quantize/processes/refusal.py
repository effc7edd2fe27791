"""What the system refuses to a child process: told as what it is, and not as a failure of what the child ran."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from quantize.disk import full_disk, is_refusal, storage_error
from quantize.processes.parent import Message


def refusal_of(error: BaseException) -> Message | None:
    """Return what the system refused, for a message to the parent; None: the exception came of something else.

    Memory is left out: another attempt may need less of it.

    Args:
        error: An exception in the child; those that led to it are looked at too.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and is_refusal(seen) and seen.errno != errno.ENOMEM:
            file = os.fsdecode(seen.filename) if isinstance(seen.filename, (str, bytes)) else None
            return {"errno": seen.errno or errno.EIO, "file": file}
        seen = seen.__cause__ or seen.__context__
    return None


def raise_refusal(refused: Message | None, folder: Path) -> None:
    """Raise what a child that failed was refused; return if it was nothing.

    Native code does not say that the disk is full: where it is, that was it.

    Args:
        refused: What ``refusal_of`` returned in the child; None where it could not say.
        folder: Where the child wrote.

    Raises:
        StorageError: The system refused a file, or the folder's disk is full.
    """
    if refused is not None:
        code, file = int(refused["errno"]), refused["file"]
        raise storage_error(OSError(code, os.strerror(code)), folder if file is None else Path(str(file)))
    full = full_disk(folder)
    if full is not None:
        raise full
