"""The int8 kernels that onnxruntime uses on this CPU, identified by their behaviour."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quantize.measurement.machine.cpu_measurement import Kernel
from quantize.measurement.machine.layer_shapes import LayerKind
from quantize.measurement.machine.probe import (
    ARITHMETICS,
    INTEGER,
    Arithmetic,
    activation_type,
    largest_weight,
    qconv,
    qgemm,
    weight_type,
)
from quantize.measurement.machine.probe_rates import SHAPES, ProbeTimes, measured_rates
from quantize.models.session import open_session

# A dot product of four bytes has at least this many times the multiply-adds of an fp32 vector in the same register.
_DOT_PRODUCT = 2.5
# What is slower than this share of fp32 is compiled code without vector products.
_GENERIC = 0.6
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
    depthwise = kind == "depthwise"
    kernel = 3 if kind in ("depthwise", "spatial", "first") else 1
    channels = 1 if depthwise else 3 if kind == "first" else _CHANNELS
    sums = channels * kernel**2 * (value - zero) * step
    bias = np.full(_CHANNELS, -sums, np.int32)
    if kind == "gemm":
        data = np.full((_PIXELS, channels), value, activation_type(arithmetic))
        weights = np.full((channels, _CHANNELS), weight, weight_type(arithmetic))
        graph = qgemm(data, weights, bias, 1.0)
    else:
        data = np.full((1, _PIXELS, _PIXELS, _CHANNELS if depthwise else channels), value, activation_type(arithmetic))
        weights = np.full((_CHANNELS, channels, kernel, kernel), weight, weight_type(arithmetic))
        group = _CHANNELS if depthwise else 1
        graph = qconv(data, weights, bias, 1.0, kernel_shape=[kernel, kernel], group=group)
    (result,) = open_session(graph.SerializeToString()).run(None, {"x": data})
    return bool((np.asarray(result) != zero).any())


def measured_kernels(
    times: ProbeTimes, saturating: Callable[[LayerKind, Arithmetic], bool] = saturates
) -> tuple[Kernel, ...]:
    """Return how each arithmetic is computed.

    Args:
        times: Measures layers.
        saturating: Returns whether the sums of a kind of layer saturate.
    """
    shape = SHAPES["pointwise"][0]
    conv = measured_rates("pointwise", ARITHMETICS, 1, times, (shape,))
    gemm = measured_rates("gemm", ARITHMETICS, 1, times)
    kernels = []
    for arithmetic in ARITHMETICS:
        kinds: tuple[LayerKind, ...] = ("pointwise", "spatial", "depthwise", "first", "gemm")
        saturated = tuple(kind for kind in kinds if arithmetic in INTEGER and saturating(kind, arithmetic))
        rates = conv.best("pointwise", arithmetic), gemm.best("gemm", arithmetic)
        assert rates[0] is not None
        assert rates[1] is not None
        kernels.append(Kernel(arithmetic=arithmetic, saturates=saturated, conv=rates[0], gemm=rates[1]))
    return tuple(kernels)


def kernel_words(kernels: Sequence[Kernel], arithmetic: Arithmetic) -> str:
    """Describe a kernel by its behaviour, in a few words."""
    own = next(kernel for kernel in kernels if kernel.arithmetic == arithmetic)
    fp32 = next(kernel for kernel in kernels if kernel.arithmetic == "fp32")
    if arithmetic == "fp32":
        return "the measure of the others"
    if own.saturates:
        return "adds pairs in 16 bits: saturates"
    best = max(own.conv / fp32.conv, own.gemm / fp32.gemm)
    # A CPU with a dot product takes it for uint8 by int8 as well: under an emulator, speed alone would tell nothing.
    if best >= _DOT_PRODUCT and not any(kernel.saturates for kernel in kernels):
        return "dot product of 4 bytes: exact"
    return "generic code: exact, slow" if best < _GENERIC else "exact"
