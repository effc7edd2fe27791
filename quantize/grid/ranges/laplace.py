"""The range of least expected squared error for Laplace-distributed values: ACIQ's analytic clipping.

R. Banner, Y. Nahshan, D. Soudry, "Post training 4-bit quantization of convolutional networks for rapid-deployment",
NeurIPS 2019, arXiv:1810.05723. The distribution's width is all that is taken from the values: a few outliers do not
move the range, and it takes no search.
"""

from __future__ import annotations

import numpy as np
from scipy.special import lambertw

from quantize.grid.grid import GridOf
from quantize.grid.histogram import Distribution


def laplace(values: Distribution, grid_of: GridOf) -> tuple[float, float]:
    """Return the range around the mean that clips best; from zero on where the values have one sign.

    Of values with one sign, zeros are left out: they are mostly what a Relu cut off, and are exact on every grid.
    """
    lower, upper = values.histogram.edges()
    middles, counts = (lower + upper) / 2, values.histogram.counts.astype(np.float64)
    grid = grid_of(values.minimum, values.maximum)
    if values.minimum < 0.0 < values.maximum:
        mean = float(np.average(middles, weights=counts))
        width = float(np.average(np.abs(middles - mean), weights=counts))
        end = width * clipping_point(grid.highest - grid.lowest + 1)
        return max(values.minimum, mean - end), min(values.maximum, mean + end)
    counts[middles == 0.0] = 0.0
    if not counts.any():
        return values.minimum, values.maximum
    zero_point = int(grid.zero_point)
    levels = max(grid.highest - zero_point, zero_point - grid.lowest) + 1
    end = float(np.average(np.abs(middles), weights=counts)) * clipping_point(levels, one_sided=True)
    return max(values.minimum, -end), min(values.maximum, end)


def clipping_point(levels: int, *, one_sided: bool = False) -> float:
    """Return the best end of a range, in units of the distribution's mean absolute deviation b.

    Clipping at a costs 2 b**2 exp(-a / b), and rounding to L levels (2 a / L) ** 2 / 12 (section 3 of the paper). Their
    sum is least where t = a / b has t exp(t) = 3 L**2. Of an exponential distribution, the positive half, rounding
    costs a quarter: t exp(t) = 12 L**2.

    Args:
        levels: Levels of the grid from end to end; of one that is one-sided, from zero to the end.
        one_sided: All values have one sign.
    """
    return float(lambertw((12.0 if one_sided else 3.0) * levels**2).real)
