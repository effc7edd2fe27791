"""Data sets in tables of images and labels, laid out like ImageNet on the Hugging Face hub."""

from __future__ import annotations

import importlib
import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

_IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "bytes", "picture")
_LABEL_NAMES = ("label", "labels", "cls", "class", "target", "fine_label")


def arrow(module: str = "pyarrow") -> Any:
    """Return a module of pyarrow.

    Raises:
        DataError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            "Parquet and Arrow files need pyarrow",
            found=str(error),
            advice="install the extra `data` (pip install 'quantize[data]')",
        ) from error


@dataclass(frozen=True)
class Columns:
    """The columns of a table of images.

    Attributes:
        image: The column of encoded images: binary, or a struct of ``bytes`` and perhaps ``path``.
        in_struct: Whether it is a struct.
        has_path: Whether the struct names the image's file.
        label: The column of integer labels, or None.
    """

    image: str
    in_struct: bool
    has_path: bool
    label: str | None

    @property
    def content(self) -> str:
        """Return the path of the encoded bytes within a row."""
        return f"{self.image}.bytes" if self.in_struct else self.image

    def encoded(self, batch: Any, row: int) -> bytes:
        """Return the encoded image in a row of a record batch that holds the image column.

        Raises:
            OSError: The row holds none.
        """
        values = batch.column(self.image)
        value = (values.field("bytes") if self.in_struct else values)[row].as_py()
        if value is None:
            raise OSError("the row holds no image bytes")
        return bytes(value)


def find_columns(schema: Any, place: str) -> Columns:
    """Return the image and label columns of a pyarrow schema.

    The image is the only binary column or struct with ``bytes``, or the one with a usual name; the label an integer
    column with a usual name.

    Raises:
        DataError: There is no image column, or several with none of the usual names.
    """
    types = arrow("pyarrow.types")

    def binary(kind: Any) -> bool:
        return kind is not None and bool(types.is_binary(kind) or types.is_large_binary(kind))

    def parts(kind: Any) -> dict[str, Any]:
        return {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)} if types.is_struct(kind) else {}

    fields = {field.name: field.type for field in schema}
    images = [name for name, kind in fields.items() if binary(kind) or binary(parts(kind).get("bytes"))]
    if len(images) != 1:
        images = [name for name in _IMAGE_NAMES if name in images][:1]
    if not images:
        raise DataError(
            "no column of images",
            where=place,
            found=", ".join(f"{name} ({kind})" for name, kind in fields.items()),
            expected="a column `image` of encoded bytes, or of a struct with `bytes`",
        )
    labels = [name for name in _LABEL_NAMES if name in fields and types.is_integer(fields[name])]
    struct = parts(fields[images[0]])
    return Columns(images[0], bool(struct), "path" in struct, labels[0] if labels else None)


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
