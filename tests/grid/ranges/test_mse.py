from __future__ import annotations

import numpy as np

from quantize.grid.grid import Grid, squared_error
from quantize.grid.ranges.mse import mse
from tests.grid.ranges.conftest import distribution


def test_it_is_near_the_best_range_of_a_full_search():
    heavy = distribution(np.random.default_rng(3).laplace(0, 1, 50_000))
    error = squared_error(heavy.histogram, Grid.covering(*mse(heavy, Grid.covering)))
    best = min(squared_error(heavy.histogram, Grid.covering(-end, end)) for end in np.linspace(2, 12, 200))
    assert error <= 1.02 * best
