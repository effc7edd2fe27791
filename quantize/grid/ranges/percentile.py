"""The range that leaves out a fixed share of the values."""

from __future__ import annotations

import numpy as np

from quantize.grid.grid import GridOf
from quantize.grid.histogram import Distribution, Histogram


def percentile(values: Distribution, _grid_of: GridOf, percent: float) -> tuple[float, float]:
    """Return the range that holds ``percent`` of the values on either side.

    Args:
        values: The tensor's.
        percent: Above 50, at most 100, for example 99.999: this share of values lies below the upper end and the
            same share above the lower end.

    Raises:
        ValueError: If ``percent`` is outside (50, 100].
    """
    if not 50.0 < percent <= 100.0:
        raise ValueError(f"a percentile above 50 and at most 100, not {percent}")
    share = percent / 100.0
    low = max(_quantile(values.histogram, 1.0 - share), values.minimum)
    high = min(_quantile(values.histogram, share), values.maximum)
    return low, high


def _quantile(histogram: Histogram, share: float) -> float:
    """Return the value below which ``share`` of the values lie, evenly spread over their bin."""
    lower, upper = histogram.edges()
    reached = np.cumsum(histogram.counts)
    wanted = share * float(reached[-1])
    position = min(int(np.searchsorted(reached, wanted)), reached.size - 1)
    inside = 1.0 - (float(reached[position]) - wanted) / float(histogram.counts[position])
    return float(lower[position] + inside * (upper[position] - lower[position]))
