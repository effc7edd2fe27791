"""Calibration statistics stored in the run's folder, in files named by the hash of their sources."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.calibration.statistics import CalibrationStatistics, ChannelMeans, TensorStatistics
from quantize.files import written
from quantize.grid.histogram import Histogram
from quantize.provenance import fingerprint

VERSION = 2
"""Part of every file's name: raised whenever the same images would give other statistics or another file."""

UNREADABLE = (FileNotFoundError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile)
"""What reading an ``.npz`` file raises if it is missing, empty, cut off, changed or something else.

Files are written in one step, so one that is no such file was damaged from outside; it is made again.
"""


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
    write_arrays(path, arrays)


def load_statistics(path: Path) -> CalibrationStatistics | None:
    """Return the statistics in a file, or None if it is missing or of another kind."""
    arrays = read_arrays(path)
    if arrays is None:
        return None
    header = json.loads(str(arrays["header"]))
    bins, counts = _Cutter(arrays["bins"]), _Cutter(arrays["counts"])
    whole, fraction = _Cutter(arrays["whole"]), _Cutter(arrays["fraction"])
    tensors = {}
    for entry in header["tensors"]:
        size, channels = entry["bins"], entry["channels"]
        tensors[entry["name"]] = TensorStatistics(
            histogram=Histogram(bins=bins(size), counts=counts(size)),
            minimum=entry["minimum"],
            maximum=entry["maximum"],
            means=None if channels is None else ChannelMeans(whole(channels), fraction(channels), entry["images"]),
        )
    return CalibrationStatistics(
        tensors=tensors,
        images=header["images"],
        fingerprints=header["fingerprints"],
        unbounded=frozenset(header["unbounded"]),
    )


def path_of(folder: Path, kind: str, fingerprints: Mapping[str, str]) -> Path:
    """Return the file of what comes from some things: of another kind or from other things, it is another file."""
    return folder / f"{kind}-{fingerprint({'version': VERSION, **fingerprints})[:16]}.npz"


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


class _Cutter:
    """Cuts piece after piece off an array."""

    def __init__(self, joined: npt.NDArray[Any]) -> None:
        self._rest = joined

    def __call__(self, size: int) -> npt.NDArray[Any]:
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays to an ``.npz`` file in one step."""
    with written(path) as stream:
        np.savez(stream, **arrays)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]] | None:
    """Return the arrays in an ``.npz`` file, or None if it is missing or of another kind."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except UNREADABLE:
        return None
