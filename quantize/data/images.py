"""From what the user names as data to a list of images, whatever the container."""

from __future__ import annotations

from pathlib import Path

from quantize.data.containers.archive import open_archives
from quantize.data.containers.folder import images_only, list_files
from quantize.data.containers.image_folder import open_labelled_folder, open_unlabelled_folder
from quantize.data.containers.shards import find_shards
from quantize.data.containers.tables import open_tables
from quantize.data.image_set import ImageRecord, ImageSet
from quantize.progress import Progress, silent

__all__ = ["ImageRecord", "ImageSet", "open_images"]


def open_images(
    data_path: Path, label_path: Path | None, *, classes: int | None, progress: Progress = silent
) -> ImageSet:
    """Return the images of a data set and their labels; nothing is unpacked, and nothing decoded yet.

    Args:
        data_path: A flat folder; a folder of class folders; a tar archive (ILSVRC2012's, one of class folders,
            WebDataset shards); Parquet or Arrow files; for several files their folder, or a pattern with ``*``.
        label_path: A label file with a line ``name label`` for each image, or ILSVRC2012's devkit (folder, archive or
            ground truth file). None: the labels are those of the container, where it has any.
        classes: The model's number of classes, which labels must be below; None where it is not known.
        progress: Told how many files of archives are listed; their number is not known before.

    Raises:
        DataError: A path, an image or a label is missing or wrong: file, line, the first ten and the count.
    """
    flat = data_path.is_dir() and bool(images_only(list_files(data_path))[0])
    shards = () if flat else find_shards(data_path)
    if shards:
        if shards[0].suffix == ".tar":
            return open_archives(shards, str(data_path), label_path, classes, progress)
        return open_tables(shards, str(data_path), label_path, classes)
    if label_path is None:
        return open_unlabelled_folder(data_path, classes)
    return open_labelled_folder(data_path, label_path, classes)
