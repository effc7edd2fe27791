"""Images in tar archives, read without unpacking."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from quantize.data.containers.archive import Member, open_archives, unreadable
from quantize.data.image_bounds import LARGEST_FILE
from quantize.data.image_set import ImageSet, Locator, NamedData, file_state
from quantize.data.tar_header import SoundHeader, why_unreadable
from quantize.progress import Progress
from quantize.quoting import quoted

_LISTED_AT_ONCE = 1000


class TarSource:
    """Reads members of uncompressed tar archives; a locator is (archive, offset, length)."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = [path.absolute() for path in paths]
        self._states = [file_state(path) for path in self.paths]

    def read(self, locator: Locator) -> bytes:
        """Return a member's bytes.

        Raises:
            OSError: The archive cannot be read, or is shorter than it was.
        """
        archive, offset, length = map(int, locator)
        if length > LARGEST_FILE:
            raise OSError(f"the archive says that it has {length:,} bytes; an image has at most {LARGEST_FILE:,}")
        with self.paths[archive].open("rb", buffering=0) as stream:
            content = os.pread(stream.fileno(), length, offset)
        if len(content) != length:
            raise OSError("the archive is cut off")
        return content

    def state(self, locator: Locator) -> tuple[int, ...]:
        """Return the archive's size and times when it was opened."""
        return self._states[int(locator[0])]


def open_tars(paths: Sequence[Path], data: NamedData) -> ImageSet:
    """Return the images in uncompressed tar archives, see ``open_archives``.

    Raises:
        DataError: An archive is compressed, cut off or no tar archive, or labels are missing or wrong.
    """
    return open_archives(list(_members(paths, data.progress)), paths, TarSource(paths), data)


def _members(paths: Sequence[Path], progress: Progress) -> Iterator[Member]:
    """Yield the files in tar archives; folders, links and hidden files are left out."""
    listed = 0
    for number, path in enumerate(paths):
        try:
            with tarfile.open(path, "r:", tarinfo=SoundHeader) as archive:
                end = -1
                for member in archive:
                    if archive.offset <= end or member.issparse():
                        raise tarfile.ReadError(f"{quoted(member.name)}: not a size that a file has, or a sparse file")
                    end = archive.offset
                    listed += 1
                    if listed % _LISTED_AT_ONCE == 0:
                        progress("list archive", listed, None)
                    name = member.name.removeprefix("./")
                    if member.isreg() and not os.path.basename(name).startswith("."):  # noqa: PTH119 - no file of ours
                        yield Member(name, (number, member.offset_data, member.size))
        except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
            raise unreadable(path, "tar", why_unreadable(error)) from error
