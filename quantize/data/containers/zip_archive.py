"""Images in ZIP archives, read without unpacking."""

from __future__ import annotations

import os
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from quantize.data.containers.archive import Member, open_archives, unreadable
from quantize.data.image_bounds import LARGEST_FILE
from quantize.data.image_set import ImageSet, Locator, NamedData, file_state
from quantize.errors import DataError
from quantize.progress import Progress

_LISTED_AT_ONCE = 1000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_FILE_KIND, _REGULAR = 0o170000, (0, 0o100000)  # 0: the archive was made on a system without Unix modes
_HEADER = struct.Struct("<4s22xHH")  # APPNOTE.TXT 4.3.7: signature, then at its end the lengths of name and extra field


class ZipSource:
    """Reads stored and deflated members; a locator is (archive, offset of the header, bytes there, bytes, CRC, method).

    All but the archive is as the central directory has it, which every reader of ZIP goes by.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = [path.absolute() for path in paths]
        self._states = [file_state(path) for path in self.paths]

    def read(self, locator: Locator) -> bytes:
        """Return a member's bytes.

        Raises:
            OSError: The archive cannot be read, or the member is damaged, or larger than it says or than any image.
        """
        archive, start, packed_size, size, checksum, method = map(int, locator)
        if max(size, packed_size) > LARGEST_FILE:
            raise OSError(f"the archive says that it has {size:,} bytes; an image has at most {LARGEST_FILE:,}")
        with self.paths[archive].open("rb", buffering=0) as stream:
            header = os.pread(stream.fileno(), _HEADER.size, start)
            if len(header) < _HEADER.size or not header.startswith(b"PK\x03\x04"):
                raise OSError("the archive is damaged")
            _, name_length, extra_length = _HEADER.unpack(header)
            content = os.pread(stream.fileno(), packed_size, start + _HEADER.size + name_length + extra_length)
        if method == zipfile.ZIP_DEFLATED:
            content = _inflated(content, size)
        if len(content) != size or zlib.crc32(content) != checksum:
            raise OSError("the archive is damaged: these are not the bytes that it lists")
        return content

    def state(self, locator: Locator) -> tuple[int, ...]:
        """Return the archive's size and times when it was opened."""
        return self._states[int(locator[0])]


def open_zips(paths: Sequence[Path], data: NamedData) -> ImageSet:
    """Return the images in ZIP archives, see ``open_archives``.

    Raises:
        DataError: An archive is encrypted, damaged or no ZIP archive, or labels are missing or wrong.
    """
    return open_archives(list(_members(paths, data.progress)), paths, ZipSource(paths), data)


def _members(paths: Sequence[Path], progress: Progress) -> Iterator[Member]:
    """Yield the files in ZIP archives; folders, links and hidden files are left out."""
    listed = 0
    for number, path in enumerate(paths):
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise unreadable(path, "ZIP", error) from error
        _refuse_overlapping(entries, path)
        for entry in entries:
            listed += 1
            if listed % _LISTED_AT_ONCE == 0:
                progress("list archive", listed, None)
            name = entry.filename.removeprefix("./")
            kind = (entry.external_attr >> 16) & _FILE_KIND
            if name.endswith("/") or kind not in _REGULAR or posixpath.basename(name).startswith("."):
                continue
            if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
                raise DataError(
                    "an archive of this kind cannot be read",
                    where=str(path),
                    found=f"{name}: encrypted"
                    if entry.flag_bits & _ENCRYPTED
                    else f"{name}: compressed by a rare method",
                    expected="files that are stored or deflated, without a password",
                    advice="pack it again, or unpack it and name the folder",
                )
            place = (number, entry.header_offset, entry.compress_size, entry.file_size, entry.CRC, entry.compress_type)
            yield Member(name, place)


def _refuse_overlapping(entries: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Refuse files that share their bytes: a few kilobytes could stand for any number of large images."""
    packed, size = sum(entry.compress_size for entry in entries), path.stat().st_size
    if packed > size:
        raise DataError(
            "files in the archive lie over each other: it is taken for a decompression bomb",
            where=str(path),
            found=f"{len(entries):,} files of {packed:,} bytes, packed, in an archive of {size:,}",
            expected="a place of its own for each file",
            advice="do not unpack it; ask whoever gave it to you",
        )


def _inflated(packed: bytes, size: int) -> bytes:
    """Return what bytes inflate to, at most one more than ``size``: the caller compares the lengths."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
    except zlib.error as error:
        raise OSError(f"the archive is damaged: {error}") from error
