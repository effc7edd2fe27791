"""Data sets in tar archives: ILSVRC2012's, archives of class folders, and WebDataset's shards."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from quantize.data.containers.folder import images_only
from quantize.data.containers.listing import Listing
from quantize.data.containers.source import Locator
from quantize.data.containers.tar_archive import Member, TarSource, list_members
from quantize.data.containers.webdataset import is_webdataset, webdataset_labels
from quantize.data.image_set import ImageSet
from quantize.data.labels.class_folders import class_labels
from quantize.data.labels.join import join_labels
from quantize.data.labels.labels import read_labels
from quantize.data.labels.synsets import labels_by_wordnet_id
from quantize.data.problems import Problems
from quantize.errors import DataError
from quantize.progress import Progress, silent


def open_archives(
    paths: Sequence[Path], place: str, label_path: Path | None, classes: int | None, progress: Progress = silent
) -> ImageSet:
    """Return the images in tar archives.

    Labels come from ``label_path``, from WebDataset's ``.cls`` members, or from class folders in the archive; a flat
    archive without any has none.

    Args:
        paths: The archives, in order.
        place: What the user named.
        label_path: A label file or the devkit, or None.
        classes: The model's number of classes, or None where it is not known.
        progress: Told how many files are listed.

    Raises:
        DataError: An archive cannot be read, or labels are missing or wrong: the first ten and the count.
    """
    members = list(list_members(paths, progress))
    inner = [member.name for member in members if member.name.endswith(".tar")]
    if inner:
        raise DataError(
            "an archive of archives cannot be read as it is",
            where=place,
            found=f"{len(inner):,} archives in it, such as {inner[0]}",
            expected="images",
            advice="unpack it once, and name the folder: its archives, one for each class, are read as they are",
        )
    locators = _by_name(members, paths, place)
    images, notes = images_only(locators)
    if not images:
        raise DataError("no images here", where=place, expected="JPEG, PNG or other image files in the archive")
    source = TarSource(paths)
    webdataset = is_webdataset(locators)
    if webdataset and label_path is None:
        labels = webdataset_labels(locators, source, place, classes)
        return Listing(place, source, {name: locators[name] for name in labels}).image_set(
            labels, "labels come from the archive's .cls members"
        )
    listing = Listing(place, source, {name: locators[name] for name in images}, () if webdataset else notes)
    if label_path is not None:
        problems = Problems()
        lines, label_place = read_labels(label_path, images, classes, problems)
        return join_labels(listing, lines, label_place, classes, problems)
    folders = _class_folders(images, place)
    if folders is None:
        return listing.image_set(None)
    by_folder, note = class_labels(sorted(set(folders.values())), classes, place)
    return listing.image_set({name: by_folder[folder] for name, folder in folders.items()}, note)


def _by_name(members: Sequence[Member], paths: Sequence[Path], place: str) -> dict[str, Locator]:
    """Return where each file is, by its name; the archive's name goes before it where archives are classes or clash."""
    by_class = all(path.stem in labels_by_wordnet_id() for path in paths)
    clash = len({member.name for member in members}) < len(members) and len(paths) > 1
    locators: dict[str, Locator] = {}
    for member in members:
        name = f"{paths[int(member.locator[0])].stem}/{member.name}" if by_class or clash else member.name
        if name in locators:
            raise DataError("two files in the archive have the same name", where=place, found=name)
        locators[name] = member.locator
    return locators


def _class_folders(names: Sequence[str], place: str) -> dict[str, str] | None:
    """Return the class folder of each image, the first that not all have in common; None for a flat archive."""
    folders = {name: posixpath.dirname(name).split("/") for name in names}
    common = posixpath.commonprefix(list(folders.values()))
    if all(len(folder) == len(common) for folder in folders.values()):
        last = common[-1] if common else ""
        return dict.fromkeys(names, last) if last in labels_by_wordnet_id() else None
    beside = [name for name, folder in folders.items() if len(folder) == len(common)]
    if beside:
        raise DataError(
            "images stand beside folders of images",
            where=place,
            found=f"{len(beside):,} images, such as {beside[0]}",
            expected="either class folders, or images alone",
            advice="give a label file",
        )
    return {name: folder[len(common)] for name, folder in folders.items()}
