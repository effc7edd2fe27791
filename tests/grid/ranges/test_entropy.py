from __future__ import annotations

from quantize.grid.grid import Grid
from quantize.grid.ranges.entropy import entropy


def test_it_keeps_most_of_a_half_normal_tensor(relu):
    low, high = entropy(relu, Grid.covering)
    assert low == 0.0
    assert 2.0 < high <= relu.maximum


def test_an_outlier_is_clipped(outlier):
    assert entropy(outlier, Grid.covering)[1] < 100
