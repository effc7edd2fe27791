"""Text files that a person made, on any system."""

from __future__ import annotations

from pathlib import Path

from quantize.errors import DataError


def read_lines(path: Path, what: str) -> list[str]:
    r"""Return the lines of a UTF-8 text file; ``\n``, ``\r\n`` and ``\r`` end a line, a byte order mark is dropped.

    Args:
        path: The file.
        what: What the file is, for the error.

    Raises:
        DataError: The file cannot be read, or is not UTF-8 text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"the {what} cannot be read: {error.strerror}", where=str(path)) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the {what} is not UTF-8 text",
            where=f"{path}:{content.count(10, 0, error.start) + 1}",
            found=f"byte 0x{content[error.start]:02x} at offset {error.start:,}",
            expected=f"a text file; is this the {what}?",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
