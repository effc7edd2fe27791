"""Scales of weights: by their greatest value, or by the least squared error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Coarse steps find what is worth clipping; the fine ones around 1 find the grid that the weights happen to lie on.
_SHARES = np.concatenate([np.linspace(1.0, 1.02, 21), np.linspace(0.999, 0.98, 20), np.linspace(0.97, 0.6, 38)])


def greatest_level(*, reduce_range: bool) -> int:
    """Return the level of the greatest weight: 127, or 63 for CPUs whose int8 products saturate."""
    return 63 if reduce_range else 127


def scales_by_maximum(rows: npt.NDArray[np.float32], level: int) -> npt.NDArray[np.float32]:
    """Return float32 (channels,), the scales at which the greatest weight of a channel takes ``level``."""
    return _usable(np.abs(rows).max(axis=1) / level)


def scales_by_mse(rows: npt.NDArray[np.float32], level: int) -> npt.NDArray[np.float32]:
    """Return float32 (channels,), the scales with the least squared error of the rounded weights.

    Scales from 0.6 to 1.02 of those by the maximum are tried; below 1 the greatest weights are clipped.
    """
    widest = scales_by_maximum(rows, level)
    best, least = widest, np.full(len(rows), np.inf)
    for share in _SHARES:
        scales = _usable(widest * share)
        placed = np.clip(np.rint(rows / scales[:, None]), -level, level) * scales[:, None]
        error = ((rows - placed) ** 2).sum(axis=1, dtype=np.float64)
        best, least = np.where(error < least, scales, best), np.minimum(error, least)
    return best.astype(np.float32)


def nearest_levels(
    rows: npt.NDArray[np.float32], scales: npt.NDArray[np.float32], level: int
) -> npt.NDArray[np.float32]:
    """Return the weights in whole levels, each rounded to the nearest."""
    return np.clip(np.rint(rows / scales[:, None]), -level, level)


def _usable(scales: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rounded = np.asarray(scales, np.float32)
    return np.where(rounded > np.finfo(np.float32).tiny, rounded, np.float32(1.0)).astype(np.float32)
