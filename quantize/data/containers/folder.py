"""Images as files in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from quantize.data.containers.listing import Listing, is_image_name
from quantize.data.containers.source import Locator
from quantize.errors import DataError


class FolderSource:
    """Reads files of one folder; a locator is the path within it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, locator: Locator) -> bytes:
        """Return a file's bytes."""
        return self._path(locator).read_bytes()

    def state(self, locator: Locator) -> tuple[int, ...]:
        """Return a file's size and its times: the change time cannot be set back as the modification time can."""
        status = self._path(locator).stat()
        return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _path(self, locator: Locator) -> Path:
        return self.root / str(locator[0])


def list_files(root: Path, folders: Iterable[str] = ("",), *, below: bool = False) -> list[str]:
    """Return the paths, with ``/`` and relative to ``root``, of the files in some of its folders; hidden ones left out.

    Args:
        root: The folder that the data is in.
        folders: Folders within it, ``""`` for itself; ones that do not exist hold nothing.
        below: Whether to go into their subfolders.

    Raises:
        DataError: A folder cannot be listed.
    """
    names: list[str] = []
    for folder in folders:
        if not (root / folder).is_dir():
            continue
        for entry in _entries(root / folder):
            name = f"{folder}/{entry.name}" if folder else entry.name
            if not entry.is_dir():
                names.append(name)
            elif below and not entry.is_symlink():
                names += list_files(root, [name], below=True)
    return names


def list_folders(root: Path) -> list[str]:
    """Return the names of the folders directly in ``root``, sorted; hidden ones left out."""
    return sorted(entry.name for entry in _entries(root) if entry.is_dir())


def folder_listing(root: Path, names: Iterable[str], *notes: str) -> Listing:
    """Return a listing of files in a folder."""
    return Listing(str(root), FolderSource(root.absolute()), {name: (name,) for name in names}, notes)


def images_only(names: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the names that end as an image's does, and a note on the others where there are any."""
    images: list[str] = []
    others: list[str] = []
    for name in names:
        (images if is_image_name(name) else others).append(name)
    if not others:
        return images, ()
    named = ", ".join(sorted(others)[:3]) + (", …" if len(others) > 3 else "")
    return images, (f"passed over, no images by their names: {len(others):,} ({named})",)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"the folder cannot be listed: {error.strerror}", where=str(folder)) from error
