"""Write files atomically, so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quantize.errors import RunError


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path``; rename it to ``path`` on success, remove it on failure."""
    _make(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o644)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # parents are made too, so this file system has no room for any, like /proc
        raise RunError(
            "no folder can be made there",
            where=str(error.filename),
            expected="a place where files can be written",
            advice="name another place with --output_model, or --output",
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` in one step."""
    with replaced(path) as temporary:
        temporary.write_bytes(content)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something lies in it, or it is not there."""
    with suppress(OSError):  # asking first could be overtaken; a folder that stays empty does no harm
        folder.rmdir()


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text with Unix line ends to ``path`` in one step."""
    write_bytes(path, content.encode("utf-8"))
