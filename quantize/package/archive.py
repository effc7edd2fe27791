"""Archives whose bytes depend on nothing but their contents."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from quantize.files import replaced

_LEVEL = 9


def write_archive(path: Path, folder: str, files: Mapping[str, bytes]) -> None:
    """Write ``path``, a .tar.gz of one folder with the given files: no times, no owners, in the order given.

    The same files give the same bytes with the same zlib.
    """
    with (
        replaced(path) as temporary,
        temporary.open("wb") as stream,
        gzip.GzipFile("", "wb", _LEVEL, stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode, member.mtime = len(content), 0o644, 0
            archive.addfile(member, io.BytesIO(content))
