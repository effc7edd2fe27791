"""The whole range that was seen: nothing is clipped."""

from __future__ import annotations

from quantize.calibration.statistics import TensorStatistics


def minmax(statistics: TensorStatistics) -> tuple[float, float]:
    """Return the least and the greatest value."""
    return statistics.minimum, statistics.maximum
