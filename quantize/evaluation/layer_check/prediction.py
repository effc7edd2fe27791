"""What error the grids of a layer predict."""

from __future__ import annotations

import math
from collections.abc import Iterable

ALLOWED = 4.0
"""The error of a layer over the predicted one from which on the layer is wrong."""

_TINY = 2.0**-126  # the smallest normal float32: a layer that gives zeros alone has some error to be held against


def step_error(step: float) -> float:
    """Return the mean squared error of rounding to a grid: ``step ** 2 / 12``, values being spread evenly."""
    return step * step / 12.0


def predicted_error(
    *,
    inputs_and_weights: float,
    output: float,
    step: float,
    others: Iterable[float] = (),
    correction: float = 0.0,
    magnitude: float = 0.0,
) -> float:
    """Return the root mean square error that a quantized layer has by the grids that were chosen, and by nothing else.

    With f the layer in fp32, its activation included, x its inputs, w its weights, y = f(x, w), and P the nearest value
    on a grid, the ends of which clip::

        E ** 2 = mean (f(P_x(x), P_w(w)) - y) ** 2       what the grids of inputs and weights lead to
               + max(mean (P_y(y) - y) ** 2, s_y ** 2 / 12)   the output's grid: its clipping, and its step at least
               + sum s_i ** 2 / 12                       of int32 biases and of tensors on the way that fp32 has not
               + mean c ** 2                             the correction of the scores, which is meant to be there
               + (2 ** -20 rms(y)) ** 2                  float32

    The parts are added as if independent; a layer whose parts are not has up to the square root of their number as
    much. Nothing here comes from the quantized layer itself: what its integers do is what is held against this.

    Args:
        inputs_and_weights: The first line, in squared units of the output.
        output: ``mean (P_y(y) - y) ** 2``; 0 where the output is on no grid.
        step: The output's step; 0 where it is on no grid.
        others: Steps of the bias and of tensors on the way, in units of the output.
        correction: ``mean c ** 2``.
        magnitude: ``mean y ** 2``.
    """
    squared = inputs_and_weights + max(output, step_error(step)) + sum(map(step_error, others)) + correction
    return max(math.sqrt(squared + magnitude * 2.0**-40), _TINY)
