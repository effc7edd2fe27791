"""Images in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quantize.data.containers.tables import Columns, TableRow, arrow, open_tables
from quantize.data.image_set import ImageSet, Locator, NamedData, file_state

_ROWS_AT_ONCE = 16


class ParquetSource:
    """Reads images from row groups, a few rows at a time; a locator is (file, row group, row in it).

    Rows asked for in storage order are read once; memory holds a few rows, however large the row groups are.
    """

    def __init__(self, paths: Sequence[Path], columns: Columns) -> None:
        self.paths = [path.absolute() for path in paths]
        self.columns = columns
        self._states = [file_state(path) for path in self.paths]
        self._group: tuple[int, int] | None = None
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._start = 0

    def read(self, locator: Locator) -> bytes:
        """Return the encoded image in a row.

        Raises:
            OSError: The file is damaged, or the row holds no image.
        """
        file, group, row = map(int, locator)
        try:
            if self._group != (file, group) or row < self._start:
                self._enter(file, group)
            while self._batch is None or row >= self._start + len(self._batch):
                self._start += 0 if self._batch is None else len(self._batch)
                self._batch = next(self._batches)
        except (arrow().ArrowException, StopIteration) as error:
            self._group = None
            raise OSError(f"the Parquet file is damaged: {error}") from error
        return self.columns.encoded(self._batch, row - self._start)

    def state(self, locator: Locator) -> tuple[int, ...]:
        """Return the file's size and times when it was opened."""
        return self._states[int(locator[0])]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open file out: another process opens its own."""
        return {**self.__dict__, "_group": None, "_batches": None, "_batch": None}

    def _enter(self, file: int, group: int) -> None:
        # Without pre-buffering, and with a buffer, pages are read one by one instead of a whole row group.
        parquet = arrow("pyarrow.parquet").ParquetFile(self.paths[file], pre_buffer=False, buffer_size=1 << 20)
        self._batches = parquet.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[self.columns.content])
        self._group, self._batch, self._start = (file, group), None, 0


def open_parquet(paths: Sequence[Path], data: NamedData) -> ImageSet:
    """Return the images in Parquet files, see ``open_tables``."""
    return open_tables(paths, data, schema=_schema, rows=_rows, source=ParquetSource)


def _schema(path: Path) -> Any:
    """Return a file's pyarrow schema."""
    return arrow("pyarrow.parquet").read_schema(path)


def _rows(paths: Sequence[Path], columns: Columns) -> Iterator[TableRow]:
    """Yield each row's file name and label, without reading the images."""
    wanted = [f"{columns.image}.path"] if columns.has_path else []
    wanted += [columns.label] if columns.label else []
    for file, path in enumerate(paths):
        parquet = arrow("pyarrow.parquet").ParquetFile(path)
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            table = parquet.read_row_group(group, columns=wanted).to_pydict() if wanted else {}
            images = table.get(columns.image, [None] * count)
            labels = table[columns.label] if columns.label else [None] * count
            for row in range(count):
                name = images[row]["path"] if images[row] else None
                yield TableRow(file, name, labels[row], (file, group, row))
