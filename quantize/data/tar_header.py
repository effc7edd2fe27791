"""Headers of tar archives whose sizes can be true."""

from __future__ import annotations

import tarfile

_LARGEST_HEADER = 1 << 20  # of a long name or of further facts, which tarfile reads into memory
_FURTHER_HEADERS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


class SoundHeader(tarfile.TarInfo):
    """A header, for ``tarfile.open``, that refuses sizes with which ``tarfile`` never ends or takes all memory.

    With a negative one it goes back in the file, for ever (CVE-2025-8194, mended in newer versions of Python).
    """

    def _block(self, count: int) -> int:
        if count < 0:
            raise tarfile.ReadError(f"a header says that {count:,} bytes follow")
        return super()._block(count)  # type: ignore[misc, no-any-return]

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
        if self.size < 0 or (self.type in _FURTHER_HEADERS and self.size > _LARGEST_HEADER):
            raise tarfile.ReadError(f"a header says that {self.size:,} bytes follow")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]
