"""The lock on a run's folder: only one run works there at a time, and another learns which one holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from quantize.bounded_reading import read_json
from quantize.disk import refusals_told
from quantize.errors import RunError, StorageError
from quantize.files import make_folder, write_text

_LOCK, _HOLDER = "run.lock", "run.holder.json"


class HeldError(RunError):
    """Another run is at work in the folder."""


@contextmanager
def run_lock(folder: Path, *, patience: float = 1.0) -> Iterator[Callable[[], None]]:
    """Hold a run's folder for this process until the block ends; the lock goes with the process, however it ends.

    Args:
        folder: Where the lock lies; it is made where it is missing.
        patience: Seconds to wait for a process that is about to end.

    Yields:
        What raises ``RunError`` if the folder has gone away or been replaced since.

    Raises:
        HeldError: Another run holds it, and the error tells which.
        RunError: The folder went away while the block was at work.
        StorageError: Nothing can be written there.
    """
    lock = FileLock(folder / _LOCK)
    make_folder(folder)
    with refusals_told(folder / _LOCK):
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise _held(folder) from None
        except NotImplementedError as error:
            raise StorageError(
                "the file system has no locks",
                where=str(folder),
                found=str(error),
                expected="one that keeps two runs apart",
                advice="name another place with --output_model",
            ) from error
    place = _identity(folder)
    try:
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        write_text(folder / _HOLDER, json.dumps(holder) + "\n")

        def still_held() -> None:
            if _identity(folder) != place:
                raise _gone(folder)

        try:
            yield still_held
        except Exception as error:
            if _identity(folder) != place:
                raise _gone(folder) from error
            raise
        still_held()
    finally:
        if _identity(folder) == place:  # else it is another run's
            with suppress(OSError):
                (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def refuse_held(folder: Path) -> None:
    """Refuse a folder that another run holds at this moment; nothing is written.

    Raises:
        HeldError: It is held; the error tells by which process.
    """
    if not (folder / _LOCK).is_file():
        return
    lock = FileLock(folder / _LOCK)
    with refusals_told(folder / _LOCK):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise _held(folder) from None
    lock.release()


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = (folder / _LOCK).stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _gone(folder: Path) -> RunError:
    return RunError(
        "the run's folder was removed or replaced while the run was at work",
        where=str(folder.parent),
        found="not the lock that this run holds",
        expected="the folder that the run began in",
        advice="start the run again, and leave its folder alone until it has ended",
    )


def _held(folder: Path) -> HeldError:
    try:
        holder = read_json(folder / _HOLDER, regular=True)
        held_by = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun, or is just ending
        held_by = "another process"
    return HeldError(
        "another run is at work in this folder",
        where=str(folder.parent),
        found=held_by,
        expected="one run at a time in a folder",
        advice="wait until it has ended, or name another place with --output_model",
    )
