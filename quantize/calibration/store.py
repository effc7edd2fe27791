"""Calibration statistics stored in the run's folder, in files named by the hash of their sources."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from quantize.calibration.statistics import CalibrationStatistics, ChannelMeans, TensorStatistics
from quantize.files import written
from quantize.grid.histogram import CODES, Histogram
from quantize.provenance import fingerprint

VERSION = 3
"""Part of every file's name: raised whenever the same images would give other statistics or another file."""

UNREADABLE = (FileNotFoundError, EOFError, ValueError, KeyError, NotImplementedError, MemoryError, zipfile.BadZipFile)
"""What reading an ``.npz`` file raises if it is missing, empty, cut off, changed or something else.

Files are written in one step, so one that is no such file was damaged from outside; it is made again.
"""

_Count = Annotated[int, Field(strict=True, ge=0, lt=1 << 40)]
_Bound = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Tensor(BaseModel):
    """What a file's header says of a tensor: a run's folder may come from a stranger."""

    name: str
    bins: _Count
    minimum: _Bound
    maximum: _Bound
    channels: _Count | None
    images: _Count | None


class _Header(BaseModel):
    images: _Count
    fingerprints: dict[str, str]
    unbounded: list[str]
    tensors: list[_Tensor]


def stored_statistics(
    folder: Path, fingerprints: Mapping[str, str], collect: Callable[[], CalibrationStatistics]
) -> CalibrationStatistics:
    """Return the statistics with these fingerprints, from their file if it exists.

    Args:
        folder: The run's work folder.
        fingerprints: What the statistics come from: the model, the images, the preprocessing.
        collect: Called if there are none yet; its result is stored.
    """
    path = path_of(folder, "statistics", fingerprints)
    stored = load_statistics(path)
    if stored is not None:
        return stored
    collected = collect()
    save_statistics(collected, path)
    return collected


def save_statistics(statistics: CalibrationStatistics, path: Path) -> None:
    """Write statistics to an ``.npz`` file in one step."""
    header = {
        "images": statistics.images,
        "fingerprints": dict(statistics.fingerprints),
        "unbounded": sorted(statistics.unbounded),
        "tensors": [
            {
                "name": name,
                "bins": len(tensor.histogram.bins),
                "minimum": tensor.minimum,
                "maximum": tensor.maximum,
                "channels": None if tensor.means is None else len(tensor.means.whole),
                "images": None if tensor.means is None else tensor.means.images,
            }
            for name, tensor in statistics.tensors.items()
        ],
    }
    tensors = list(statistics.tensors.values())
    means = [tensor.means for tensor in tensors if tensor.means is not None]
    arrays = {
        "header": json.dumps(header),
        "bins": _joined([tensor.histogram.bins for tensor in tensors]),
        "counts": _joined([tensor.histogram.counts for tensor in tensors]),
        "whole": _joined([mean.whole for mean in means]),
        "fraction": _joined([mean.fraction for mean in means]),
    }
    write_arrays(path, arrays.items())


def load_statistics(path: Path) -> CalibrationStatistics | None:
    """Return the statistics in a file, or None if it is missing or of another kind."""
    try:
        arrays = read_arrays(path)
        header = _Header.model_validate_json(str(arrays["header"]))
        bins, counts = _Cutter(arrays["bins"], np.int32), _Cutter(arrays["counts"], np.int64)
        whole, fraction = _Cutter(arrays["whole"], np.int64), _Cutter(arrays["fraction"], np.int64)
        tensors = {entry.name: _statistics(entry, bins, counts, whole, fraction) for entry in header.tensors}
    except UNREADABLE:
        return None
    return CalibrationStatistics(
        tensors=tensors,
        images=header.images,
        fingerprints=header.fingerprints,
        unbounded=frozenset(header.unbounded),
    )


def _statistics(entry: _Tensor, bins: _Cutter, counts: _Cutter, whole: _Cutter, fraction: _Cutter) -> TensorStatistics:
    own, numbers = bins(entry.bins), counts(entry.bins)
    if (numbers <= 0).any() or (own[1:] <= own[:-1]).any() or (own.size and max(-own[0], own[-1]) >= CODES // 2):
        raise ValueError("no histogram")
    if entry.minimum > entry.maximum:
        raise ValueError("no range")
    means = None
    if entry.channels is not None:
        if not entry.images:
            raise ValueError("means of no images")
        means = ChannelMeans(whole(entry.channels), fraction(entry.channels), entry.images)
    return TensorStatistics(
        histogram=Histogram(bins=own, counts=numbers), minimum=entry.minimum, maximum=entry.maximum, means=means
    )


def path_of(folder: Path, kind: str, fingerprints: Mapping[str, str]) -> Path:
    """Return the file of what comes from some things: of another kind or from other things, it is another file."""
    return folder / f"{kind}-{fingerprint({'version': VERSION, **fingerprints})[:16]}.npz"


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


class _Cutter:
    """Cuts piece after piece off an array.

    Raises:
        ValueError: It is of another type, or shorter than its pieces.
    """

    def __init__(self, joined: npt.NDArray[Any], kind: type[np.signedinteger[Any]]) -> None:
        if joined.ndim != 1 or (joined.size and joined.dtype != kind):
            raise ValueError(f"an array of {joined.dtype}, not of {np.dtype(kind)}")
        self._rest = joined.astype(kind, copy=False)

    def __call__(self, size: int) -> npt.NDArray[Any]:
        if size > len(self._rest):
            raise ValueError("an array that is shorter than its pieces")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def write_arrays(path: Path, arrays: Iterable[tuple[str, Any]]) -> None:
    """Write named arrays to an ``.npz`` file in one step, each as it comes: they need not be in memory together."""
    with written(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, values in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.save(member, values, allow_pickle=False)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays in an ``.npz`` file.

    Raises:
        EOFError, ValueError, zipfile.BadZipFile, …: It is none that ``write_arrays`` wrote, see ``UNREADABLE``.
    """
    refuse_packed(path)
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def refuse_packed(path: Path) -> None:
    """Refuse an ``.npz`` file that is compressed, which ours are not: it could unpack to more than memory holds.

    Raises:
        ValueError: It is.
        EOFError, zipfile.BadZipFile, …: It is no such file, see ``UNREADABLE``.
    """
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("compressed arrays")
