"""The three ways images lie in a folder: with a label file, in class folders, or without labels."""

from __future__ import annotations

import posixpath
from pathlib import Path

from quantize.data.containers.folder import folder_listing, images_only, list_files, list_folders
from quantize.data.image_set import ImageSet
from quantize.data.labels.class_folders import class_labels
from quantize.data.labels.devkit import find_devkit
from quantize.data.labels.join import join_labels
from quantize.data.labels.label_file import read_label_file
from quantize.data.labels.synsets import labels_by_wordnet_id
from quantize.data.problems import Problems
from quantize.errors import DataError


def open_labelled_folder(folder: Path, label_path: Path, classes: int | None) -> ImageSet:
    """Return the images in ``folder`` that a label file names, or all of them with the devkit's labels.

    Raises:
        DataError: The label file or an image is missing, or lines are wrong: the first ten and the count.
    """
    problems = Problems()
    if (devkit := find_devkit(label_path)) is not None:
        images, _ = images_only(list_files(folder, below=True))
        lines = devkit.label_lines(images, problems)
        return join_labels(folder_listing(folder, images), lines, devkit.place, classes, problems)
    lines = read_label_file(label_path, classes, problems)
    wanted = {line.name for line in lines}
    names = set(list_files(folder, sorted({"", *map(posixpath.dirname, wanted)})))
    if not wanted <= names:
        names |= set(list_files(folder, below=True))
    return join_labels(folder_listing(folder, sorted(names)), lines, label_path, classes, problems)


def open_unlabelled_folder(folder: Path, classes: int | None) -> ImageSet:
    """Return the images in ``folder``: with the labels of its class folders, or without labels where it has none.

    Raises:
        DataError: There are no images, images stand beside class folders, or these do not fit the model's classes.
    """
    images, notes = images_only(list_files(folder))
    folders = list_folders(folder)
    in_folders, other_notes = images_only(list_files(folder, folders, below=True))
    if images and in_folders:
        raise DataError(
            "images stand beside folders of images",
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
