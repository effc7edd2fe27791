from __future__ import annotations

from quantize.grid.grid import Grid
from quantize.grid.ranges.minmax import minmax


def test_everything_is_covered(outlier):
    assert minmax(outlier, Grid.covering) == (outlier.minimum, outlier.maximum)
