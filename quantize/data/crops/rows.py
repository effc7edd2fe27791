"""Rows of uint8 crops, memory-mapped or in memory; only the requested rows are read."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Crop = npt.NDArray[np.uint8]

# Pages that were read count as this process's memory until they are given back; the system's cache keeps them.
_BYTES_BEFORE_RELEASE = 1 << 26


class CropFile:
    """A ``.npy`` file of crops, mapped read-only; unpickled, it is mapped again when first read.

    Args:
        path: The file: uint8, (N, H, W, C).
        shape: That shape.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path = path
        self.shape = shape
        self._written = self._identity()
        self._mapping: mmap.mmap | None = self._map()
        self._read = 0

    def read(self, rows: npt.NDArray[np.int64]) -> Crop:
        """Return these rows, copied.

        Raises:
            RuntimeError: The object was pickled, and the file was replaced since.
        """
        if self._mapping is None:
            self._mapping = self._map()
        every = np.frombuffer(self._mapping, dtype=np.uint8, count=int(np.prod(self.shape)), offset=self._offset())
        taken: Crop = every.reshape(self.shape)[rows]
        self._read += taken.nbytes
        if self._read > _BYTES_BEFORE_RELEASE and hasattr(mmap, "MADV_DONTNEED"):
            self._mapping.madvise(mmap.MADV_DONTNEED)
            self._read = 0
        return taken

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapping out: another process makes its own."""
        return {**self.__dict__, "_mapping": None}

    def _map(self) -> mmap.mmap:
        if self._identity() != self._written:
            raise RuntimeError(f"{self.path} was replaced by another run")
        with self.path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def _offset(self) -> int:
        return self._written[1] - int(np.prod(self.shape))

    def _identity(self) -> tuple[int, int, int]:
        status = self.path.stat()
        return (status.st_ino, status.st_size, status.st_mtime_ns)


class CropRows:
    """Some rows of crops, in their own order; indexing reads and copies them, as from a numpy array.

    Attributes:
        shape: (N, H, W, C).
        dtype: uint8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, crops: CropFile | Crop, rows: npt.NDArray[np.int64]) -> None:
        self._crops = crops
        self._rows = rows
        self.shape = (len(rows), *crops.shape[1:])

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self._rows)

    def __getitem__(self, key: int | slice | Sequence[int] | npt.NDArray[np.int64]) -> Crop:
        """Return one crop (H, W, C), or several (n, H, W, C), as a new array."""
        rows = np.atleast_1d(self._rows[key])
        taken: Crop = self._crops.read(rows) if isinstance(self._crops, CropFile) else self._crops[rows]
        return taken[0] if isinstance(key, (int, np.integer)) else taken

    def __array__(  # numpy's protocol passes the two by position
        self,
        dtype: npt.DTypeLike = None,
        copy: bool | None = None,  # noqa: FBT001 - every reading is a copy
    ) -> npt.NDArray[Any]:
        """Return all crops in memory, for numpy's functions."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def subset(self, indices: Sequence[int]) -> CropRows:
        """Return the crops at these positions; nothing is read."""
        return CropRows(self._crops, self._rows[np.asarray(indices, dtype=np.int64)])
