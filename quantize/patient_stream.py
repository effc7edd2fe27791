"""A stream that keeps the first error of writing for the end."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO


class PatientStream(io.BufferedIOBase, BinaryIO):
    """Takes everything that is written; after an error it only counts, and ``finish`` raises that error.

    Args:
        file: Where it goes, opened for writing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None
        self._place = 0
        self._end = 0

    def write(self, data: Any) -> int:
        """Write bytes, and return how many."""
        count = memoryview(data).nbytes
        if self._error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self._error = error
        self._place += count
        self._end = max(self._end, self._place)
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, and return it."""
        self._place = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence] + offset
        if self._error is None:
            try:
                self._file.seek(self._place)  # writes out what is buffered
            except OSError as error:
                self._error = error
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def seekable(self) -> bool:
        """Return that it is."""
        return True

    def writable(self) -> bool:
        """Return that it is."""
        return True

    def flush(self) -> None:
        """Write out what is buffered."""
        if self._error is None:
            try:
                self._file.flush()
            except OSError as error:
                self._error = error

    def finish(self) -> None:
        """Write out what is buffered.

        Raises:
            OSError: What the system refused first.
        """
        self.flush()
        if self._error is not None:
            raise self._error
