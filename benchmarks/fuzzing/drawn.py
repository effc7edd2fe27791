"""Numbers from the bytes that a fuzzer gives: decisions about what is changed."""

from __future__ import annotations


class Numbers:
    """Numbers from bytes, zeros at their end.

    Args:
        content: The bytes.
        narrow: Whether a byte is taken where it is enough, else two for each number.
    """

    def __init__(self, content: bytes, *, narrow: bool = False) -> None:
        self._content, self._narrow, self._place = content, narrow, 0

    def number(self, below: int) -> int:
        """Return a number from 0 to ``below`` - 1."""
        width = 1 if self._narrow and below <= 256 else 2
        word = self._content[self._place : self._place + width].ljust(width, b"\0")
        self._place += width
        return int.from_bytes(word, "big") % max(below, 1)

    def is_left(self) -> bool:
        """Return whether bytes are left."""
        return self._place < len(self._content)
