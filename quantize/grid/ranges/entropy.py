"""The range that keeps most information (Kullback-Leibler), as TensorRT's calibrator does.

S. Migacz, "8-bit inference with TensorRT", GTC 2017: the reference distribution is the tensor's, with all that lies
outside the range put into its last bin; the candidate is the same after grouping its bins into the levels of the
grid. The range with the least divergence is taken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantize.grid.grid import GridOf
from quantize.grid.histogram import Distribution, Histogram

_BINS = 2048
_STEP = 16
_LEVELS = 256


def entropy(values: Distribution, _grid_of: GridOf) -> tuple[float, float]:
    """Return the range with the least divergence between the tensor's distribution and its quantized one.

    Ends are scaled inwards together. The magnitudes are looked at: on all of the grid's 256 values, or on half of them
    for tensors with both signs.
    """
    greatest = max(abs(values.minimum), abs(values.maximum))
    if greatest == 0.0:
        return 0.0, 0.0
    both_signs = values.minimum < 0.0 < values.maximum
    used = _LEVELS // 2 if both_signs else _LEVELS
    density = _linear_magnitudes(values.histogram, greatest)
    # The first bin is zero itself, mostly what a Relu cut off; it costs nothing on any grid.
    density[0] = density[1]
    divergences = [(_divergence(density, kept, used), kept) for kept in range(used, _BINS + 1, _STEP)]
    best = min(divergences)[1] / _BINS * greatest
    return max(values.minimum, -best), min(values.maximum, best)


def _linear_magnitudes(histogram: Histogram, greatest: float) -> npt.NDArray[np.float64]:
    """Return float64 (2048,), the magnitudes' counts in bins of equal width up to ``greatest``."""
    lower, upper = histogram.edges()
    near, far = np.minimum(np.abs(lower), np.abs(upper)), np.maximum(np.abs(lower), np.abs(upper))
    order = np.argsort(far, kind="stable")
    edges = np.linspace(0.0, greatest, _BINS + 1)
    # The cumulative count at every edge, with values evenly spread over their bin, gives the counts between edges.
    positions = np.stack([near[order], np.maximum(far[order], np.nextafter(near[order], np.inf))], axis=1).reshape(-1)
    counts = histogram.counts[order].astype(np.float64)
    reached = np.cumsum(np.stack([np.zeros_like(counts), counts], axis=1).reshape(-1))
    return np.diff(np.interp(edges, np.maximum.accumulate(positions), reached, left=0.0, right=float(counts.sum())))


def _divergence(density: npt.NDArray[np.float64], kept: int, levels: int) -> float:
    reference = density[:kept].copy()
    reference[-1] += density[kept:].sum()
    inside = density[:kept]
    occupied = (inside > 0).astype(np.float64)
    group = np.minimum((np.arange(kept) * levels) // kept, levels - 1)
    mass = np.bincount(group, weights=inside, minlength=levels)
    members = np.bincount(group, weights=occupied, minlength=levels)
    candidate = np.where(occupied > 0, (mass / np.maximum(members, 1.0))[group], 0.0)
    if not candidate.sum() or not reference.sum():
        return float("inf")
    p, q = reference / reference.sum(), candidate / candidate.sum()
    both = (p > 0) & (q > 0)
    # What the candidate cannot represent at all counts as 1e-12 of its mass, so that the divergence stays finite.
    missing = (p > 0) & (q == 0)
    return float((p[both] * np.log(p[both] / q[both])).sum() + (p[missing] * np.log(p[missing] / 1e-12)).sum())
