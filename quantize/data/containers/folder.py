"""Images as files in a folder: with a label file, in class folders, or without labels."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path

from quantize.bounded_reading import read_bounded
from quantize.data.image_bounds import LARGEST_FILE
from quantize.data.image_set import ImageSet, Listing, Locator, NamedData, file_state, images_only
from quantize.data.labels.classes import class_labels, labels_by_wordnet_id
from quantize.data.labels.devkit import find_devkit
from quantize.data.labels.join import join_labels, label_images
from quantize.data.labels.label_file import read_label_file
from quantize.data.problems import Problems
from quantize.errors import DataError


class FolderSource:
    """Reads files of one folder; a locator is the path within it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, locator: Locator) -> bytes:
        """Return a file's bytes."""
        return read_bounded(self._path(locator), LARGEST_FILE, regular=True)

    def state(self, locator: Locator) -> tuple[int, ...]:
        """Return a file's size and its times."""
        return file_state(self._path(locator))

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
            if not _is_folder(entry):
                names.append(name)
            elif below and not entry.is_symlink():
                names += list_files(root, [name], below=True)
    return names


def list_folders(root: Path) -> list[str]:
    """Return the names of the folders directly in ``root``, sorted; hidden ones left out."""
    return sorted(entry.name for entry in _entries(root) if _is_folder(entry))


def folder_listing(root: Path, names: Iterable[str], *notes: str) -> Listing:
    """Return a listing of files in a folder."""
    return Listing(str(root), FolderSource(root.absolute()), {name: (name,) for name in names}, notes)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"the folder cannot be listed: {error.strerror}", where=str(folder)) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to what may not be seen: reading it will say so, with its name
        return False


def open_folder(folder: Path, data: NamedData) -> ImageSet:
    """Return the images in a folder.

    A label file says which images count; with the devkit all do. Without either, class folders give the labels; a flat
    folder has none.

    Raises:
        DataError: Images or labels are missing or wrong (the first ten and the count), or it cannot be told which
            folders are classes.
    """
    if data.label_path is None:
        return _open_unlabelled(folder, data.classes)
    if find_devkit(data.label_path) is not None:
        return label_images(folder_listing(folder, images_only(list_files(folder, below=True))[0]), data)
    problems = Problems()
    lines = read_label_file(data.label_path, data.classes, problems, several=data.several)
    wanted = {line.name for line in lines}
    names = set(list_files(folder, sorted({"", *map(posixpath.dirname, wanted)})))
    if not wanted <= names:
        names |= set(list_files(folder, below=True))
    return join_labels(folder_listing(folder, sorted(names)), lines, data.label_path, data.classes, problems)


def _open_unlabelled(folder: Path, classes: int | None) -> ImageSet:
    images, notes = images_only(list_files(folder))
    folders = list_folders(folder)
    in_folders, other_notes = images_only(list_files(folder, folders, below=True))
    if images and in_folders:
        raise DataError(
            "images and folders of images are mixed",
            where=str(folder),
            found=f"{len(images):,} images, such as {images[0]}, and {len(in_folders):,} in folders",
            expected="either class folders, or a flat folder",
            advice="give a label file, or name the folder of the images alone",
        )
    if images:
        return folder_listing(folder, images, *notes).image_set(None)
    if not in_folders:
        raise DataError("no images here", where=str(folder), expected="JPEG, PNG or other image files")
    only = {name.split("/", 1)[0] for name in in_folders}
    if len(only) == 1 and not only <= set(labels_by_wordnet_id()):
        below = folder / only.pop()
        raise DataError(
            "all images are in one folder",
            where=str(folder),
            found=str(below),
            expected="images, or one folder for each class",
            advice=f"name {below} as the data",
        )
    labels, note = class_labels(folders, classes, str(folder))
    empty = len(folders) - len(only)
    more = (f"class folders without images: {empty:,}",) if empty else ()
    listing = folder_listing(folder, in_folders, *notes, *other_notes)
    return listing.image_set({name: labels[name.split("/", 1)[0]] for name in in_folders}, note, *more)
