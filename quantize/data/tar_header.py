"""Headers of tar archives whose sizes can be true."""

from __future__ import annotations

import tarfile

_LARGEST_HEADER = 1 << 20  # of a long name or of further facts, which tarfile reads into memory
_LARGEST_FILE = 1 << 60  # what comes behind a larger one lies where no file system has a place
_FURTHER_HEADERS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


class SoundHeader(tarfile.TarInfo):
    """A header, for ``tarfile.open``, that refuses sizes with which ``tarfile`` never ends or takes all memory.

    With a negative one it goes back in the file, for ever (CVE-2025-8194, mended in newer versions of Python).
    """

    def _block(self, count: int) -> int:
        if not 0 <= count <= _LARGEST_FILE:
            raise tarfile.ReadError(f"a header says that {count:,} bytes follow")
        return super()._block(count)  # type: ignore[misc, no-any-return]

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
        if not 0 <= self.size <= _LARGEST_FILE or (self.type in _FURTHER_HEADERS and self.size > _LARGEST_HEADER):
            raise tarfile.ReadError(f"a header says that {self.size:,} bytes follow")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


def why_unreadable(error: Exception) -> str:
    """Return what is wrong with an archive that ``tarfile`` cannot list, in words about the archive."""
    return "too many headers before one file" if isinstance(error, RecursionError) else str(error)
