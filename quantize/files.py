"""Write files in one step: a reader never sees half of one, and what is written is on the disk.

Every file that stays is written here, and every folder for temporary files is made here: a full disk, a quota or a
folder that has gone is told in one way, whoever writes.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from quantize.disk import SCRATCH, full_disk, is_refusal, refusals_told, storage_error
from quantize.errors import StorageError
from quantize.patient_stream import PatientStream

_PART_END, _SCRATCH_END = ".part", ".scratch"
_NOT_SYNCED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What a file system says that does not sync: it has done what it can."""


@contextmanager
def replaced(path: Path, *, needed: int | None = None) -> Iterator[Path]:
    """Yield a temporary path next to ``path``; rename it to ``path`` on success, remove it on failure.

    Args:
        path: The file; its folder is made where it is missing.
        needed: Bytes that it will have, where they are known, for the error.

    Raises:
        StorageError: The system does not let it be written.
    """
    make_folder(path.parent)
    with refusals_told(path, needed=needed):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PART_END, dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with refusals_told(path, needed=needed):
            temporary.chmod(0o644)
        try:
            yield temporary
        except OSError as error:  # of the caller's own writing; what it reads meanwhile is its own matter
            if error.filename == name or (error.filename is None and is_refusal(error)):
                raise storage_error(error, path, needed=needed) from error
            raise
        with refusals_told(path, needed=needed):
            _sync(temporary)
            temporary.replace(path)
            with suppress(OSError):  # the file is whole; only its name is not yet on the disk
                _sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream into ``path``, which is replaced in one step on success.

    Writing to it does not fail: what the system refuses is told at the end. Archives write once more when they are
    closed, and what then fails would hide the reason, or be printed after it.

    Raises:
        StorageError: The system does not let it be written.
    """
    with replaced(path) as temporary, temporary.open("wb") as file:
        stream = PatientStream(file)
        yield stream
        stream.finish()


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` in one step.

    Raises:
        StorageError: The system does not let it be written.
    """
    with replaced(path, needed=len(content)) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text with Unix line ends to ``path`` in one step.

    Raises:
        StorageError: The system does not let it be written.
    """
    write_bytes(path, content.encode("utf-8"))


def append_bytes(path: Path, content: bytes, *, begin: bool = False) -> None:
    """Add ``content`` to the end of a file as a whole, or not at all.

    Args:
        path: The file.
        content: What is added.
        begin: Make the file, and its folder; else it must be there.

    Raises:
        StorageError: The system does not let it be written, or the file has gone.
    """
    if begin:
        make_folder(path.parent)
    with refusals_told(path, needed=len(content)):
        with path.open("ab" if begin else "r+b", buffering=0) as stream:
            before = stream.seek(0, os.SEEK_END)
            try:
                _write_all(stream, content)
                os.fsync(stream.fileno())
            except OSError:
                with suppress(OSError):
                    stream.truncate(before)
                    if begin and before == 0:
                        path.unlink()
                raise
        if begin:
            with suppress(OSError):
                _sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        StorageError: The system does not let it be made.
    """
    with refusals_told(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # parents are made too: this file system has no room for any, like /proc
            raise StorageError(
                "no folder can be made there",
                where=str(error.filename),
                expected="a place where files can be written",
                advice="name another place with --output_model, or --output",
            ) from error


@contextmanager
def scratch_folder(purpose: str, *, inside: Path | None = None) -> Iterator[Path]:
    """Yield a folder for temporary files; it is removed at the end.

    Native code writes into it too, and does not say that the disk is full: onnxruntime cannot load a model, or leaves
    half a trace. So whatever fails inside while that disk is full is told as that.

    Args:
        purpose: Becomes part of its name.
        inside: Folder to make it in, made where it is missing; None: the system's place for them (``TMPDIR``).

    Raises:
        StorageError: There is no place for temporary files, or its disk is full.
    """
    if inside is None:
        place, prefix = scratch_place(), f"{SCRATCH}{purpose}-"
    else:
        place, prefix = inside, f"{purpose}-"
    make_folder(place)
    with refusals_told(place):
        folder = tempfile.TemporaryDirectory(prefix=prefix, suffix=_SCRATCH_END, dir=place, ignore_cleanup_errors=True)
    with folder as name:
        try:
            yield Path(name)
        except StorageError:
            raise
        except Exception as error:
            full = full_disk(Path(name))
            if full is not None:
                raise full from error
            if isinstance(error, OSError) and is_refusal(error):
                # What names its file is told of that: not all that is done inside is done to the folder.
                raise storage_error(error, Path(name) if error.filename is None else None) from error
            raise


def remove_leftovers(*folders: Path) -> None:
    """Remove what a killed process left half written in folders that are ours alone; not what is below them."""
    for folder in folders:
        for path in folder.glob(f".*{_PART_END}"):
            with suppress(OSError):
                path.unlink()
        for path in folder.glob(f"*{_SCRATCH_END}"):
            shutil.rmtree(path, ignore_errors=True)


def scratch_place() -> Path:
    """Return the system's place for temporary files.

    Raises:
        StorageError: There is none that can be written to.
    """
    with refusals_told(Path(os.environ.get("TMPDIR") or "TMPDIR")):
        return Path(tempfile.gettempdir())


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something lies in it, or it is not there."""
    with suppress(OSError):  # asking first could be overtaken; a folder that stays empty does no harm
        folder.rmdir()


def _write_all(stream: BinaryIO, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[stream.write(left) :]


def _sync(path: Path) -> None:
    """Put a file or a folder on the disk."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise
    finally:
        os.close(handle)
