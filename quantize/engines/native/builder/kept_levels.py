"""Keep the rounded weights of all candidates, whose rounding takes long, outside of memory."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Hashable
from io import FileIO
from os import SEEK_END
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantize.errors import StorageError
from quantize.files import make_folder

Levels = npt.NDArray[np.int8]
_Place = tuple[int, tuple[int, ...]]


class KeptLevels:
    """Rounded weights by what asks for them, in a file without a name that ends with the process.

    Each set of corrections rounds all weights anew, for each half of the calibration images and for both: together they
    take several times the model. What no file can be made for, or does not fit into it, is kept in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Set up; the file is made in ``folder`` when the first weights come, None: there is none."""
        self._folder = folder
        self._file: FileIO | None = None
        self._kept: dict[Hashable, Levels | _Place] = {}

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept)

    def of(self, key: Hashable) -> Levels | None:
        """Return what was kept under a key, read again; None: nothing."""
        kept = self._kept.get(key)
        if kept is None or isinstance(kept, np.ndarray):
            return kept
        start, shape = kept
        assert self._file is not None
        self._file.seek(start)
        return np.frombuffer(self._file.read(math.prod(shape)), np.int8).reshape(shape)

    def keep(self, key: Hashable, levels: Levels) -> None:
        """Keep levels under a key that has none."""
        try:
            self._kept[key] = self._written(levels)
        except (OSError, StorageError):
            if self._file is None:
                self._folder = None
            self._kept[key] = levels

    def _written(self, levels: Levels) -> Levels | _Place:
        if self._folder is None:
            return levels
        if self._file is None:
            make_folder(self._folder)
            # Open as long as the search, and without a buffer: what did not fit must not be tried again later.
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        start, left = self._file.seek(0, SEEK_END), memoryview(levels.tobytes())
        while left:
            left = left[self._file.write(left) :]
        return start, levels.shape
