"""The whole observed range: nothing is clipped."""

from __future__ import annotations

from quantize.grid.grid import GridOf
from quantize.grid.histogram import Distribution


def minmax(values: Distribution, _grid_of: GridOf) -> tuple[float, float]:
    """Return the least and the greatest value."""
    return values.minimum, values.maximum
