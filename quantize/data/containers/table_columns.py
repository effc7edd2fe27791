"""Which columns of a table hold the images, their names and their labels."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from quantize.errors import DataError

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
    def words(self) -> str:
        """Return the columns as messages name them."""
        image = f"images in {self.content!r}" + (f", named by {f'{self.image}.path'!r}" if self.has_path else "")
        return f"{image}, {f'labels in {self.label!r}' if self.label else 'no labels'}"

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

    def text(kind: Any) -> bool:
        if kind is not None and types.is_dictionary(kind):
            kind = kind.value_type
        return kind is not None and bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))

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
    return Columns(images[0], bool(struct), text(struct.get("path")), labels[0] if labels else None)
