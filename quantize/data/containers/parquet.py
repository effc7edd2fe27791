"""Images in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quantize.data.containers.table_columns import Columns, arrow
from quantize.data.containers.tables import LARGEST_BATCH, TABLE_ERRORS, TableRow, open_tables
from quantize.data.image_set import ImageSet, Locator, NamedData, file_state
from quantize.processes.address_space import allocating_at_most

_ROWS_AT_ONCE = 16
_ROWS_LISTED_AT_ONCE = 1 << 14
_BYTES_AT_ONCE = 1 << 28
_LEAST_IMAGE = 32  # bytes: a row of a table of images has at least as many in the file
_LARGEST_RATIO = 200  # of the data to the file: encoded images hardly shrink
_SMALL = 1 << 20


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
            with allocating_at_most(LARGEST_BATCH):
                if self._group != (file, group) or row < self._start:
                    self._enter(file, group)
                while self._batch is None or row >= self._start + len(self._batch):
                    self._start += 0 if self._batch is None else len(self._batch)
                    self._batch = next(self._batches)
        except (*TABLE_ERRORS, arrow().ArrowException) as error:
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
        # A value of a dictionary can stand in every row; a batch of them is not to take more than all values once.
        whole = max(1, parquet.metadata.row_group(group).total_byte_size)
        rows = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // whole))
        self._batches = parquet.iter_batches(rows, row_groups=[group], columns=[self.columns.content])
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
        parquet = arrow("pyarrow.parquet").ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        _refuse_bombs(parquet.metadata, path)
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            row = 0
            for batch in _listed(parquet, group, wanted, count):
                images = batch.get(columns.image) or [None] * _length(batch, count)
                labels = batch[columns.label] if columns.label else [None] * len(images)
                for image, label in zip(images, labels, strict=True):
                    yield TableRow(file, image["path"] if image else None, label, (file, group, row))
                    row += 1


def _listed(parquet: Any, group: int, wanted: list[str], count: int) -> Iterator[dict[str, list[Any]]]:
    """Yield some columns of a row group in parts, name to values; nothing of each row where none is wanted."""
    if not wanted:
        yield {}
        return
    listed = 0
    for batch in parquet.iter_batches(_ROWS_LISTED_AT_ONCE, row_groups=[group], columns=wanted):
        listed += len(batch)
        yield batch.to_pydict()
    if listed != count:
        raise OSError(f"row group {group} says that it has {count:,} rows, and has {listed:,}")


def _length(batch: dict[str, list[Any]], count: int) -> int:
    return len(next(iter(batch.values()))) if batch else count


def _refuse_bombs(metadata: Any, path: Path) -> None:
    """Refuse a file that holds more than its size can honestly hold: a few kilobytes can stand for gigabytes."""
    size = path.stat().st_size
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows, unpacked = sum(group.num_rows for group in groups), sum(group.total_byte_size for group in groups)
    if rows * _LEAST_IMAGE > size or min((group.num_rows for group in groups), default=0) < 0:
        raise OSError(f"{rows:,} rows in {size:,} bytes: these are no images")
    if unpacked > _SMALL + _LARGEST_RATIO * size:
        raise OSError(f"{unpacked:,} bytes of data in {size:,}: it is taken for a decompression bomb")
