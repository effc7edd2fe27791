"""Data sets in Parquet and Arrow files, as the Hugging Face hub lays ImageNet out."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from quantize.data.containers.arrow_columns import arrow, find_columns
from quantize.data.containers.arrow_file import ArrowSource, arrow_rows, arrow_schema
from quantize.data.containers.listing import Listing
from quantize.data.containers.parquet import ParquetSource, parquet_rows, parquet_schema
from quantize.data.containers.source import ImageSource
from quantize.data.containers.table_row import TableRow
from quantize.data.image_set import ImageSet
from quantize.data.labels.join import join_labels
from quantize.data.labels.labels import read_labels
from quantize.data.problems import Problems
from quantize.errors import DataError


def open_tables(paths: Sequence[Path], place: str, label_path: Path | None, classes: int | None) -> ImageSet:
    """Return the images in Parquet files, or in Arrow files, with their label column or ``label_path``.

    Args:
        paths: The files, all of one kind, in order.
        place: What the user named.
        label_path: A label file or the devkit, which then decides, or None.
        classes: The model's number of classes, or None where it is not known.

    Raises:
        DataError: pyarrow is missing, a file cannot be read or has no image column, or a label is missing or wrong:
            the first ten and the count.
    """
    parquet = paths[0].suffix == ".parquet"
    try:
        columns = find_columns((parquet_schema if parquet else arrow_schema)(paths[0]), str(paths[0]))
        rows = list((parquet_rows if parquet else arrow_rows)(paths, columns))
    except (arrow().ArrowException, OSError, KeyError) as error:
        raise DataError(
            f"the tables cannot be read: {error}", where=place, expected="whole Parquet or Arrow files of one schema"
        ) from error
    if not rows:
        raise DataError("no images here", where=place, found="tables without rows")
    source: ImageSource = ParquetSource(paths, columns) if parquet else ArrowSource(paths, columns)
    names = _names(rows, paths)
    listing = Listing(place, source, {name: row.locator for name, row in zip(names, rows, strict=True)})
    if label_path is not None:
        problems = Problems()
        lines, label_place = read_labels(label_path, names, classes, problems)
        return join_labels(listing, lines, label_place, classes, problems)
    given = {name: row.label for name, row in zip(names, rows, strict=True)}
    if all(label in (None, -1) for label in given.values()):  # -1 is the hub's way to say: no label (test sets)
        return listing.image_set(None, "the tables give no labels")
    return listing.image_set(_checked(given, place, classes), f"labels come from the column {columns.label!r}")


def _names(rows: Sequence[TableRow], paths: Sequence[Path]) -> list[str]:
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
