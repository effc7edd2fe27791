"""Archives: reproducible when written, and read within limits, since they may come from others."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from quantize.errors import DataError
from quantize.files import written

_LEVEL = 9


def write_archive(path: Path, folder: str, files: Mapping[str, bytes]) -> None:
    """Write ``path``, a .tar.gz of one folder with the given files: no times, no owners, in the order given.

    The same files give the same bytes with the same zlib.
    """
    with (
        written(path) as stream,
        gzip.GzipFile("", "wb", _LEVEL, stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode, member.mtime = len(content), 0o644, 0
            archive.addfile(member, io.BytesIO(content))


LARGEST = 2 * 1024**3
"""Bytes of an archive's contents: ONNX files hold no more."""

_LARGEST_RATIO = 200
_SMALL = 1 << 20
_MOST_FILES = 64
_MOST_ENTRIES = 1000  # folders too, which take time and nothing else
_BLOCK = 512
_CHUNK = 1 << 20
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Bounded:
    """A decompressed stream that refuses to give more than an archive of this size can honestly hold."""

    def __init__(self, stream: _Stream, path: Path) -> None:
        self._stream, self._path = stream, path
        self._left = min(LARGEST, _SMALL + _LARGEST_RATIO * path.stat().st_size)

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes.

        Raises:
            DataError: The archive is too large, cut off or damaged.
        """
        self._take(size)
        parts: list[bytes] = []
        while size:
            part = self._part(min(size, _CHUNK))
            if not part:
                raise DataError("the archive is cut off", where=str(self._path), expected="a whole .tar.gz file")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Read the rest, which is padding: only at its end does gzip compare the checksum of all that was read.

        Raises:
            DataError: The archive is too large, cut off or damaged, or something stands behind its end.
        """
        while part := self._part(_CHUNK):
            self._take(len(part))
            if any(part):
                raise _refused(self._path, "something behind the archive's end", "padding")

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise DataError(
                "the archive holds far more than a model: it is taken for a decompression bomb",
                where=str(self._path),
                found=f"more than {min(LARGEST, _SMALL + _LARGEST_RATIO * self._path.stat().st_size):,} bytes "
                f"in a file of {self._path.stat().st_size:,}",
                expected=f"at most {_LARGEST_RATIO} times the file's size, and at most {LARGEST:,} bytes",
            )

    def _part(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError("not a whole .tar.gz file", where=str(self._path), found=str(error)) from error


def read_archive(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return the name of an archive's one folder, and the files in it by their path within it.

    Raises:
        DataError: The file is no .tar.gz, or holds a path that leads out of it, a link, a device, a name twice, more
            than one folder, too many files or too many bytes.
    """
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as stream:
            return _files(_Bounded(stream, path), path)
    except OSError as error:
        raise DataError(f"the archive cannot be read: {error.strerror or error}", where=str(path)) from error


def _files(stream: _Bounded, path: Path) -> tuple[str, dict[str, bytes]]:
    files: dict[str, bytes] = {}
    folders: set[str] = set()
    entries = 0
    while (block := stream.read(_BLOCK)) != bytes(_BLOCK):
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise DataError("not a tar archive", where=str(path), found=str(error)) from error
        name = _safe_name(member.name, path)
        entries += 1
        if entries > _MOST_ENTRIES:
            raise _refused(path, f"more than {_MOST_ENTRIES:,} entries", "a model, its sample data and its papers")
        if member.size < 0:
            raise _refused(path, f"{member.name}: of {member.size:,} bytes", "sizes from 0")
        if member.isdir():
            continue
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            kind = _KINDS.get(member.type, f"an entry of type {member.type!r}")
            raise _refused(path, f"{member.name}: {kind}", "regular files only")
        if len(name.parts) < 2:
            raise _refused(path, f"{member.name}: a file outside of the package's folder", "one folder")
        folders.add(name.parts[0])
        inner = str(PurePosixPath(*name.parts[1:]))
        if len(folders) > 1:
            raise _refused(path, ", ".join(sorted(folders)), "files in one folder")
        if inner in files:
            raise _refused(path, f"{member.name}: twice", "each file once")
        if len(files) == _MOST_FILES:
            raise _refused(path, f"more than {_MOST_FILES} files", "a model, its sample data and its papers")
        files[inner] = stream.read(member.size)
        stream.read(-member.size % _BLOCK)
    stream.finish()
    if not folders:
        raise _refused(path, "nothing", "files in one folder")
    return folders.pop(), files


def _safe_name(name: str, path: Path) -> PurePosixPath:
    relative = PurePosixPath(name)
    windows = "\\" in name or ":" in name
    if not name or relative.is_absolute() or ".." in relative.parts or windows or not name.isprintable():
        raise _refused(path, f"{name!r}: a path that leads out of the package", "relative paths without ..")
    return relative


def _refused(path: Path, found: str, expected: str) -> DataError:
    return DataError(
        "the archive is refused",
        where=str(path),
        found=found,
        expected=expected,
        advice="do not unpack it; ask whoever gave it to you",
    )
