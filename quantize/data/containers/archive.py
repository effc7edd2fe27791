"""Data sets in archives: ILSVRC2012's, archives of class folders, and WebDataset's shards."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

from quantize.data.image_set import ImageSet, ImageSource, Listing, Locator, NamedData, images_only, is_image_name
from quantize.data.labels.classes import class_labels, labels_by_wordnet_id
from quantize.data.labels.join import join_labels, label_images
from quantize.data.labels.label_file import read_label_file
from quantize.data.problems import Problems
from quantize.errors import DataError

_LABEL_FILES = ("val.txt", "labels.txt")


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name, and where its bytes are."""

    name: str
    locator: Locator


def open_archives(members: Sequence[Member], paths: Sequence[Path], source: ImageSource, data: NamedData) -> ImageSet:
    """Return the images in archives.

    Labels come from ``data.label_path``, from WebDataset's ``.cls`` members, from class folders in the archive, or from
    a label file in it, ``val.txt`` or ``labels.txt``; a flat archive without any has none.

    Args:
        members: The files in the archives; the first number of a locator is the archive's.
        paths: The archives, in order.
        source: What reads the members.
        data: What the user named.

    Raises:
        DataError: There are no images, a name leads out of the archive, or labels are missing or wrong: the first ten
            and the count.
    """
    place = data.place
    _refuse_paths_that_leave(members, place)
    inner = [member.name for member in members if member.name.endswith(".tar")]
    if inner:
        raise DataError(
            "an archive of archives cannot be read directly",
            where=place,
            found=f"{len(inner):,} archives in it, such as {inner[0]}",
            expected="images",
            advice="unpack it once, and name the folder: its archives, one for each class, are read as they are",
        )
    locators = _by_name(members, paths, place)
    images, notes = images_only(locators)
    if not images:
        raise DataError("no images here", where=place, expected="JPEG, PNG or other image files in the archive")
    webdataset = any(name.endswith(".cls") for name in locators)
    if webdataset and data.label_path is None:
        labels = _webdataset_labels(locators, source, data)
        return Listing(place, source, {name: locators[name] for name in labels}).image_set(
            labels, "labels come from the archive's .cls members"
        )
    listing = Listing(place, source, {name: locators[name] for name in images}, () if webdataset else notes)
    if data.label_path is not None:
        return label_images(listing, data)
    folders = _class_folders(images, place)
    if folders is None:
        inside = [name for name in locators if posixpath.basename(name) in _LABEL_FILES]
        return _with_label_file(inside[0], locators, listing, data) if len(inside) == 1 else listing.image_set(None)
    by_folder, note = class_labels(sorted(set(folders.values())), data.classes, place)
    return listing.image_set({name: by_folder[folder] for name, folder in folders.items()}, note)


def unreadable(path: Path, kind: str, why: object) -> DataError:
    """Return the error of an archive that cannot be listed.

    Args:
        path: The archive.
        kind: What it should be, such as ``tar``.
        why: What is wrong with it.
    """
    return DataError(
        f"the archive cannot be read: {why}",
        where=str(path),
        expected=f"a whole {kind} archive",
        advice="get it, or pack it, again",
    )


def _refuse_paths_that_leave(members: Sequence[Member], place: str) -> None:
    # Nothing is unpacked here, but names go into reports and lists that others use as paths.
    for member in members:
        path = PureWindowsPath(member.name)
        if path.drive or path.root or ".." in path.parts:
            raise DataError(
                "a path in the archive points outside it",
                where=place,
                found=repr(member.name),
                expected="relative paths",
                advice="pack it again from within the folder of the images; do not unpack it",
            )


def _with_label_file(name: str, locators: Mapping[str, Locator], listing: Listing, data: NamedData) -> ImageSet:
    path, problems = Path(data.place) / name, Problems()
    try:
        content = listing.source.read(locators[name])
    except OSError as error:
        raise DataError("the label list in the archive cannot be read", where=str(path), found=str(error)) from error
    _, notes = images_only(other for other in locators if other != name)
    listing = replace(listing, notes=(*notes, f"labels come from {name} in the archive"))
    lines = read_label_file(path, data.classes, problems, content=content, several=data.several)
    return join_labels(listing, lines, path, data.classes, problems)


def _by_name(members: Sequence[Member], paths: Sequence[Path], place: str) -> dict[str, Locator]:
    """Return each file's place by its name, prefixed by the archive's name if archives are classes or names clash."""
    by_class = all(path.stem in labels_by_wordnet_id() for path in paths)
    clash = len({member.name for member in members}) < len(members) and len(paths) > 1
    locators: dict[str, Locator] = {}
    for member in members:
        name = f"{paths[int(member.locator[0])].stem}/{member.name}" if by_class or clash else member.name
        if name in locators:
            raise DataError(
                "two files in the archive have the same name",
                where=place,
                found=name,
                expected="each name once",
                advice="pack it again: which of them is meant cannot be told",
            )
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
            "images and folders of images are mixed",
            where=place,
            found=f"{len(beside):,} images, such as {beside[0]}",
            expected="either class folders, or images alone",
            advice="give a label file",
        )
    return {name: folder[len(common)] for name, folder in folders.items()}


def _webdataset_labels(locators: Mapping[str, Locator], source: ImageSource, data: NamedData) -> dict[str, int]:
    """Return the label of each image, from the ``.cls`` member of its sample: files that share a name up to a dot."""
    place, classes = data.place, data.classes
    classes_of = {_sample(name): name for name in locators if name.endswith(".cls")}
    problems = Problems()
    labels: dict[str, int] = {}
    seen: dict[str, str] = {}
    for order, name in enumerate(name for name in locators if is_image_name(name)):
        sample = _sample(name)
        where = f"{place}: {name}"
        if sample in seen:
            problems.add(order, where, f"the sample has another image, {seen[sample]}")
            continue
        seen[sample] = name
        if sample not in classes_of:
            problems.add(order, where, "the sample has no .cls member")
            continue
        try:
            text = source.read(locators[classes_of[sample]]).strip()
        except OSError as error:
            problems.add(order, where, f"its .cls member cannot be read: {error}")
            continue
        if not (text.isdigit() and len(text) < 10):
            problems.add(order, where, f"the label {text[:20]!r} is not an integer from 0")
        elif classes is not None and int(text) >= classes:
            problems.add(order, where, f"the label {int(text)} is not in 0 to {classes - 1}")
        else:
            labels[name] = int(text)
    problems.raise_any(place, expected="one image and one .cls member with its label in each sample")
    return labels


def _sample(name: str) -> str:
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.split(".", 1)[0])
