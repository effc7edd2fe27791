"""Whether sums of products saturate: asked of a session, not of a list of CPUs."""

from __future__ import annotations

import numpy as np

from quantize.measurement.machine.arithmetic import Arithmetic, activation_type, largest_weight, weight_type
from quantize.measurement.machine.layer_shapes import LayerKind
from quantize.measurement.machine.probe import qconv, qgemm
from quantize.models.session import open_session

_CHANNELS = 64
_PIXELS = 6


def saturates(kind: LayerKind, arithmetic: Arithmetic) -> bool:
    """Return whether a layer's sums differ from the exact ones where all data and weights are as large as they can be.

    The bias takes the exact sum away again, so that the result is zero where sums are exact, and the smallest
    difference shows.

    Args:
        kind: Conv of 64 channels, a depthwise one, or Gemm.
        arithmetic: Any but fp32.
    """
    zero = 128 if activation_type(arithmetic) == np.uint8 else 0
    limits = np.iinfo(activation_type(arithmetic))  # type: ignore[type-var]
    weight_zero = 128 if weight_type(arithmetic) == np.uint8 else 0
    # The lowest values have the largest products of two negative ones; 127 + 128 is 255 for weights of uint8.
    pairs = ((limits.max, largest_weight(arithmetic)), (limits.min, -largest_weight(arithmetic) - 1))
    return any(_differs(kind, arithmetic, value, step + weight_zero, zero, step) for value, step in pairs)


def _differs(kind: LayerKind, arithmetic: Arithmetic, value: int, weight: int, zero: int, step: int) -> bool:
    one = kind == "depthwise"
    kernel = 3 if kind in ("depthwise", "spatial", "first") else 1
    channels = 1 if one else 3 if kind == "first" else _CHANNELS
    sums = channels * kernel**2 * (value - zero) * step
    bias = np.full(_CHANNELS, -sums, np.int32)
    if kind == "gemm":
        data = np.full((_PIXELS, channels), value, activation_type(arithmetic))
        weights = np.full((channels, _CHANNELS), weight, weight_type(arithmetic))
        graph = qgemm(data, weights, bias, 1.0)
    else:
        data = np.full((1, _PIXELS, _PIXELS, _CHANNELS if one else channels), value, activation_type(arithmetic))
        weights = np.full((_CHANNELS, channels, kernel, kernel), weight, weight_type(arithmetic))
        group = _CHANNELS if one else 1
        graph = qconv(data, weights, bias, 1.0, kernel_shape=[kernel, kernel], group=group)
    (result,) = open_session(graph.SerializeToString()).run(None, {"x": data})
    return bool((np.asarray(result) != zero).any())
