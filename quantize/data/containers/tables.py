"""Data sets in tables of images and labels, laid out like ImageNet on the Hugging Face hub."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantize.data.containers.table_columns import Columns, arrow, find_columns
from quantize.data.image_set import ImageSet, ImageSource, Listing, Locator, NamedData
from quantize.data.labels.join import label_images
from quantize.data.problems import Problems
from quantize.errors import DataError
from quantize.processes.address_space import allocating_at_most


@dataclass(frozen=True)
class TableRow:
    """A row, without its image.

    Attributes:
        file: Number of the file that it is in.
        name: The image's file name, or None if the table has none.
        label: Its label, or None.
        locator: Where the image is.
    """

    file: int
    name: str | None
    label: int | None
    locator: Locator


LARGEST_BATCH = 1 << 31
"""Bytes that reading a batch of rows may take."""

LARGEST_LISTING = 1 << 32
"""Bytes that listing all rows may take, without their images."""

TABLE_ERRORS = (OSError, LookupError, ValueError, TypeError, ArithmeticError, StopIteration, MemoryError)
"""What reading a damaged table raises, besides pyarrow's own errors."""


def open_tables(
    paths: Sequence[Path],
    data: NamedData,
    *,
    schema: Callable[[Path], Any],
    rows: Callable[[Sequence[Path], Columns], Iterable[TableRow]],
    source: Callable[[Sequence[Path], Columns], ImageSource],
) -> ImageSet:
    """Return the images in tables, with their label column or ``data.label_path``.

    Args:
        paths: The files, in order.
        data: What the user named.
        schema: Returns a file's pyarrow schema.
        rows: Yields the rows without their images.
        source: Returns what reads the images.

    Raises:
        DataError: pyarrow is missing, a file cannot be read or has no image column, or a label is missing or wrong:
            the first ten and the count.
    """
    place = data.place
    try:
        with allocating_at_most(LARGEST_LISTING + sum(path.stat().st_size for path in paths)):
            columns = find_columns(schema(paths[0]), str(paths[0]))
            _refuse_other_columns(paths[1:], columns, schema)
            listed = list(rows(paths, columns))
    except (*TABLE_ERRORS, arrow().ArrowException) as error:
        raise DataError(
            f"the tables cannot be read: {str(error) or type(error).__name__}",
            where=place,
            expected="whole Parquet or Arrow files of one schema",
        ) from error
    if not listed:
        raise DataError("no images here", where=place, found="tables without rows")
    names = _image_names(listed, paths)
    locators = {name: row.locator for name, row in zip(names, listed, strict=True)}
    listing = Listing(place, source(paths, columns), locators)
    if data.label_path is not None:
        return label_images(listing, data)
    given = {name: row.label for name, row in zip(names, listed, strict=True)}
    if all(label in (None, -1) for label in given.values()):  # -1 is the hub's way to say: no label (test sets)
        return listing.image_set(None, "the tables give no labels")
    return listing.image_set(_checked(given, place, data.classes), f"labels come from the column {columns.label!r}")


def _refuse_other_columns(paths: Sequence[Path], columns: Columns, schema: Callable[[Path], Any]) -> None:
    """Refuse files whose columns are not those of the first: they would be read as what they are not."""
    for path in paths:
        own = find_columns(schema(path), str(path))
        if own != columns:
            raise DataError(
                "tables of different columns",
                where=str(path),
                found=own.words,
                expected=f"{columns.words}, as in the first file",
                advice="name tables of one data set, by a pattern",
            )


def _image_names(rows: Sequence[TableRow], paths: Sequence[Path]) -> list[str]:
    """Return the images' file names where the tables have them, each once; else the file and the row number."""
    names = [posixpath.basename(row.name) for row in rows if row.name]
    if len(set(names)) == len(rows):
        return names
    starts: dict[int, int] = {}
    for number, row in enumerate(rows):
        starts.setdefault(row.file, number)
    return [f"{paths[row.file].stem}#{number - starts[row.file]:06d}" for number, row in enumerate(rows)]


def _checked(given: dict[str, int | None], place: str, classes: int | None) -> dict[str, int]:
    problems = Problems()
    labels: dict[str, int] = {}
    for order, (name, label) in enumerate(given.items()):
        if label is None or label < 0:
            problems.add(order, f"{place}: {name}", f"the row has no label ({label})")
        elif classes is not None and label >= classes:
            problems.add(order, f"{place}: {name}", f"the label {label} is not in 0 to {classes - 1}")
        else:
            labels[name] = label
    problems.raise_any(place, expected="a label for each row")
    return labels
