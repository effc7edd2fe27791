"""Open whatever the user names as data as a list of images; containers are chosen by suffix."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from quantize.data.containers.arrow_file import open_arrow
from quantize.data.containers.folder import list_files, list_folders, open_folder
from quantize.data.containers.parquet import open_parquet
from quantize.data.containers.tar_archive import open_tars
from quantize.data.containers.zip_archive import open_zips
from quantize.data.image_set import ImageSet, NamedData, images_only
from quantize.errors import DataError
from quantize.progress import Progress, silent
from quantize.similar_names import did_you_mean

CONTAINERS: Mapping[str, Callable[[Sequence[Path], NamedData], ImageSet]] = MappingProxyType(
    {
        ".tar": open_tars,
        ".zip": open_zips,
        ".parquet": open_parquet,
        ".arrow": open_arrow,
    }
)
"""What opens files of a suffix: given the files in order, all of that suffix, and what the user named."""

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_NUMBER = re.compile(r"[-_.]?[0-9]+(-of-[0-9]+)?(-[0-9a-f]{16})?$")


def open_images(
    data_path: Path,
    label_path: Path | None,
    *,
    classes: int | None,
    several: bool | None = False,
    progress: Progress = silent,
) -> ImageSet:
    """Return the images of a data set and their labels; nothing is unpacked, and nothing decoded yet.

    Args:
        data_path: A flat folder; a folder of class folders; a file of one of the ``CONTAINERS``, such as a tar archive
            (ILSVRC2012's, one of class folders, WebDataset shards); for several files their folder, or a pattern with
            ``*``.
        label_path: A label file with a line ``name label`` for each image, or ILSVRC2012's devkit (folder, archive or
            ground truth file). None: the labels are those of the container, where it has any.
        classes: The model's number of classes, which labels must be below; None if it is not known.
        several: Whether an image may have several labels, ``name label label ...``; None: the label file shows it.
        progress: Called with the number of archive members listed; the total is not known.

    Raises:
        DataError: A path, an image or a label is missing or wrong: file, line, the first ten and the count.
    """
    data = NamedData(str(data_path), label_path, classes, several, progress)
    flat = data_path.is_dir() and bool(images_only(list_files(data_path))[0])
    files = () if flat else _container_files(data_path)
    images = CONTAINERS[files[0].suffix](files, data) if files else open_folder(data_path, data)
    if not images.labelled or not (several or any(isinstance(record.label, tuple) for record in images.records)):
        return images
    highest = max((label for record in images.records for label in record.labels), default=0)
    return replace(images, label_count=classes or highest + 1)


def _container_files(data_path: Path) -> tuple[Path, ...]:
    """Return the container's files that a path names, sorted; none for a folder of images.

    A folder's own files count, or those in its folder ``data`` (the hub's layout); a path with ``*`` is a pattern.
    """
    if data_path.is_dir():
        for folder in (data_path, data_path / "data"):
            paths = sorted(path for path in folder.glob("*") if path.suffix in CONTAINERS and path.name[0] != ".")
            if paths:
                _refuse_folders_of_images(paths, folder)
                _refuse_splits(paths, folder)
                return _one_kind(paths, data_path)
        return ()
    if data_path.exists():
        return _one_kind([data_path], data_path)
    matched = sorted(Path(name) for name in glob.glob(str(data_path)))  # noqa: PTH207 - the pattern may be absolute
    if not matched:
        raise DataError(
            "images not found",
            where=str(data_path),
            expected="an existing folder, archive or table",
            advice=did_you_mean(data_path),
        )
    return _one_kind(matched, data_path)


def _one_kind(paths: Sequence[Path], data_path: Path) -> tuple[Path, ...]:
    kinds = {path.suffix for path in paths}
    if len(kinds) == 1 and kinds <= set(CONTAINERS):
        return tuple(paths)
    compressed = any(path.name.endswith(_COMPRESSED) for path in paths)
    raise DataError(
        "these files cannot be read as images" if len(paths) > 1 else "not a supported container of images",
        where=str(data_path),
        found=", ".join(path.name for path in paths[:3]) + (", …" if len(paths) > 3 else ""),
        expected=f"a folder, or files of one kind: {', '.join(CONTAINERS)}",
        advice="uncompress the archive to a .tar: compressed ones can only be read from the start"
        if compressed
        else None,
    )


def _refuse_folders_of_images(paths: Sequence[Path], folder: Path) -> None:
    for name in list_folders(folder):
        if images_only(list_files(folder, [name]))[0]:
            raise DataError(
                "archives or tables are mixed with folders of images",
                where=str(folder),
                found=f"{paths[0].name}, and images in {name}",
                expected="one or the other",
                advice=f"name the one that you mean, such as {paths[0]}, or move the files elsewhere",
            )


def _refuse_splits(paths: Sequence[Path], folder: Path) -> None:
    splits = sorted({_NUMBER.sub("", path.stem) for path in paths})
    if len(splits) > 1 and len({path.suffix for path in paths}) == 1 and not _all_wordnet(splits):
        raise DataError(
            "several data sets in one folder",
            where=str(folder),
            found=", ".join(splits[:5]) + (", …" if len(splits) > 5 else ""),
            expected="files of one",
            advice=f"name them by a pattern, such as '{folder / splits[-1]}*{paths[0].suffix}'",
        )


def _all_wordnet(names: Sequence[str]) -> bool:
    return all(re.fullmatch("n[0-9]{8}|n", name) for name in names)
