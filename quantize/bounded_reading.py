"""Read files that come from strangers: within a bound of bytes, and only what ends."""

from __future__ import annotations

import errno
import json
import os
import stat
from io import FileIO
from pathlib import Path
from typing import Any

LARGEST_TEXT = 1 << 28
"""Bytes of a text: of a label file of 3 million images, and of every report."""


def read_bounded(path: Path, largest: int, *, regular: bool = False) -> bytes:
    """Return the content of a file of at most ``largest`` bytes.

    Args:
        path: The file; what the user names may be a pipe.
        largest: Bytes. No more are read, whatever the file says of its size.
        regular: Refuse pipes, devices and sockets, which a folder of a stranger's may hold and which never end.

    Raises:
        OSError: It cannot be read, is larger, or is no file.
    """
    with open_regular(path) if regular else path.open("rb", buffering=0) as stream:
        parts: list[bytes] = []
        left = largest + 1
        while left and (part := stream.read(min(left, 1 << 24))):
            parts.append(part)
            left -= len(part)
    if not left:
        raise OSError(errno.EFBIG, f"larger than {largest:,} bytes, which is more than such a file has", str(path))
    return b"".join(parts)


def open_regular(path: Path) -> FileIO:
    """Open a file for reading, unbuffered, and refuse pipes, devices and sockets.

    Raises:
        OSError: It cannot be read, or is no file.
    """
    # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    stream = FileIO(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "a pipe, a device or a socket, no file", str(path))
    return stream


def read_json(path: Path, *, regular: bool = False) -> Any:
    """Return the value in a JSON file.

    Args:
        path: The file.
        regular: Refuse pipes, devices and sockets, as ``read_bounded`` does.

    Raises:
        OSError: It cannot be read, or is larger than a report.
        ValueError: It is no JSON, not UTF-8, nested too deeply, or holds integers of thousands of digits or halves of
            surrogate pairs. NaN is read: a figure that is none is for its reader to tell.
    """
    text = read_bounded(path, LARGEST_TEXT, regular=regular).decode("utf-8-sig")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if "\\u" in text:  # only an escape can make one
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value
