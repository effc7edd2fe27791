"""The range with the least mean squared error on its grid."""

from __future__ import annotations

import numpy as np

from quantize.grid.grid import GridOf, squared_error
from quantize.grid.histogram import Distribution

_COARSE = np.geomspace(0.02, 1.0, 48)
_NEGLIGIBLE = 2.0**-13
"""Share of the greatest value below which values are set to zero: a thirtieth of a step at most."""
_FINE = np.linspace(0.94, 1.06, 13)


def mse(values: Distribution, grid_of: GridOf) -> tuple[float, float]:
    """Return the range whose grid is nearest to the tensor's values in the mean of squares.

    Both ends are moved inwards together first, then each in turn, in finer steps.

    Args:
        values: The tensor's.
        grid_of: Returns the grid of a range.
    """
    greatest_value = max(abs(values.minimum), abs(values.maximum))
    histogram = values.histogram.without_small(greatest_value * _NEGLIGIBLE)

    def cost(low: float, high: float) -> float:
        return squared_error(histogram, grid_of(low, high))

    least, greatest = min(values.minimum, 0.0), max(values.maximum, 0.0)
    _, low, high = min((cost(least * part, greatest * part), least * part, greatest * part) for part in _COARSE)
    for _ in range(2):
        high = min((cost(low, end), end) for end in np.minimum(high * _FINE, greatest))[1]
        if low < 0.0:
            low = min((cost(end, high), end) for end in np.maximum(low * _FINE, least))[1]
    return float(low), float(high)
