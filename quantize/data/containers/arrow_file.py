"""Images in Arrow files, both the file and the stream format (Hugging Face datasets caches use the latter)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quantize.data.containers.table_columns import Columns, arrow
from quantize.data.containers.tables import LARGEST_BATCH, TABLE_ERRORS, TableRow, open_tables
from quantize.data.image_set import ImageSet, Locator, NamedData, file_state
from quantize.processes.address_space import allocating_at_most


class ArrowSource:
    """Reads images from record batches, which stay in the file; a locator is (file, batch, row in it)."""

    def __init__(self, paths: Sequence[Path], columns: Columns) -> None:
        self.paths = [path.absolute() for path in paths]
        self.columns = columns
        self._states = [file_state(path) for path in self.paths]
        self._place: tuple[int, int] | None = None
        self._batch: Any = None

    def read(self, locator: Locator) -> bytes:
        """Return the encoded image in a row.

        Raises:
            OSError: The file is damaged, or the row holds no image.
        """
        file, number, row = map(int, locator)
        try:
            if self._place != (file, number):
                # Mapped anew for each batch: what was read of the last one is given back.
                with allocating_at_most(LARGEST_BATCH + self.paths[file].stat().st_size):
                    self._batch = _batch(self.paths[file], number)
                self._place = (file, number)
        except (*TABLE_ERRORS, arrow().ArrowException) as error:
            raise OSError(f"the Arrow file is damaged: {error}") from error
        return self.columns.encoded(self._batch, row)

    def state(self, locator: Locator) -> tuple[int, ...]:
        """Return the file's size and times when it was opened."""
        return self._states[int(locator[0])]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open batch out: another process opens its own."""
        return {**self.__dict__, "_place": None, "_batch": None}


def open_arrow(paths: Sequence[Path], data: NamedData) -> ImageSet:
    """Return the images in Arrow files, see ``open_tables``."""
    return open_tables(paths, data, schema=_schema, rows=_rows, source=ArrowSource)


def _schema(path: Path) -> Any:
    """Return a file's pyarrow schema."""
    return _reader(path).schema


def _rows(paths: Sequence[Path], columns: Columns) -> Iterator[TableRow]:
    """Yield each row's file name and label, without reading the images."""
    for file, path in enumerate(paths):
        for number, batch in enumerate(_batches(_reader(path))):
            labels = batch.column(columns.label).to_pylist() if columns.label else [None] * len(batch)
            names = batch.column(columns.image).field("path").to_pylist() if columns.has_path else [None] * len(batch)
            for row, (name, label) in enumerate(zip(names, labels, strict=True)):
                yield TableRow(file, name, label, (file, number, row))


def _reader(path: Path) -> Any:
    """Return a reader of the file format, or else of the stream format."""
    ipc = arrow("pyarrow.ipc")
    try:
        return ipc.open_file(arrow().memory_map(str(path)))
    except arrow().ArrowInvalid:
        return ipc.open_stream(arrow().memory_map(str(path)))


def _batches(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "get_batch"):
        return (_sound(reader.get_batch(number)) for number in range(reader.num_record_batches))
    return map(_sound, reader)


def _sound(batch: Any) -> Any:
    """Return a batch whose offsets lie within its buffers: Arrow itself trusts the file, and reads past their ends."""
    batch.validate(full=True)
    return batch


def _batch(path: Path, number: int) -> Any:
    reader = _reader(path)
    if hasattr(reader, "get_batch"):
        return _sound(reader.get_batch(number))
    for count, batch in enumerate(reader):
        if count == number:
            return _sound(batch)
    raise IndexError(f"there is no batch {number}")
