"""The lock on a run's folder: only one run works there at a time, and another learns which one holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from quantize.errors import RunError
from quantize.files import write_text

_LOCK, _HOLDER = "run.lock", "run.holder.json"


@contextmanager
def run_lock(folder: Path, *, patience: float = 1.0) -> Iterator[None]:
    """Hold a run's folder for this process until the block ends; the lock goes with the process, however it ends.

    Args:
        folder: Where the lock lies; it is made where it is missing.
        patience: Seconds to wait for a process that is about to end.

    Raises:
        RunError: Another run holds it; the error tells which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise _held(folder) from None
    try:
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        write_text(folder / _HOLDER, json.dumps(holder) + "\n")
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def refuse_held(folder: Path) -> None:
    """Refuse a folder that another run holds at this moment; nothing is written.

    Raises:
        RunError: It is held; the error tells by which process.
    """
    if not (folder / _LOCK).is_file():
        return
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _held(folder) from None
    lock.release()


def _held(folder: Path) -> RunError:
    try:
        holder = json.loads((folder / _HOLDER).read_text(encoding="utf-8"))
        held_by = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun, or is just ending
        held_by = "another process"
    return RunError(
        "another run is at work in this folder",
        where=str(folder.parent),
        found=held_by,
        expected="one run at a time in a folder",
        advice="wait until it has ended, or name another place with --output_model",
    )
