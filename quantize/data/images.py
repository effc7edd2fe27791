"""From what the user names as data to a list of images, whatever the container."""

from __future__ import annotations

from pathlib import Path

from quantize.data.image_folder import open_labelled_folder, open_unlabelled_folder
from quantize.data.image_set import ImageRecord, ImageSet
from quantize.errors import DataError

__all__ = ["ImageRecord", "ImageSet", "open_images"]


def open_images(data_path: Path, label_path: Path | None, *, classes: int | None) -> ImageSet:
    """Return the images of a data set and their labels; nothing is decoded yet.

    Args:
        data_path: A flat folder, or a folder of class folders.
        label_path: A label file with a line ``name label`` for each image. None: the labels come from class folders,
            and a flat folder has none.
        classes: The model's number of classes, which labels must be below; None where it is not known.

    Raises:
        DataError: A path, an image or a label is missing or wrong: file, line, the first ten and the count.
    """
    if not data_path.exists():
        raise DataError("the images are not there", where=str(data_path), expected="an existing folder")
    if not data_path.is_dir():
        raise DataError(
            "this file is no container of images that can be read", where=str(data_path), expected="a folder of images"
        )
    if label_path is None:
        return open_unlabelled_folder(data_path, classes)
    return open_labelled_folder(data_path, label_path, classes)
