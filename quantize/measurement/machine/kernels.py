"""Which int8 kernels onnxruntime takes here, found out by what they do."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine.arithmetic import ARITHMETICS, INTEGER, Arithmetic
from quantize.measurement.machine.layer_shapes import LayerKind
from quantize.measurement.machine.peak_probes import SHAPES, measured_rates
from quantize.measurement.machine.probe_times import ProbeTimes
from quantize.measurement.machine.saturation import saturates

# A dot product of four bytes has at least this many times the multiply-adds of an fp32 vector in the same register.
_DOT_PRODUCT = 2.5
# What is slower than this share of fp32 is compiled code without vector products.
_GENERIC = 0.6


class Kernel(BaseModel):
    """How one arithmetic is computed on one thread.

    Attributes:
        arithmetic: Types of activations and weights.
        saturates: Kinds of layers whose sums saturate.
        conv: Multiply-adds a second of a Conv 1x1.
        gemm: Multiply-adds a second of a Gemm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arithmetic: Arithmetic
    saturates: tuple[LayerKind, ...]
    conv: float
    gemm: float


def measured_kernels(times: ProbeTimes) -> tuple[Kernel, ...]:
    """Return how each arithmetic is computed.

    Args:
        times: Measures layers.
    """
    shape = SHAPES["pointwise"][0]
    conv = measured_rates("pointwise", ARITHMETICS, 1, times, (shape,))
    gemm = measured_rates("gemm", ARITHMETICS, 1, times)
    found = []
    for arithmetic in ARITHMETICS:
        kinds: tuple[LayerKind, ...] = ("pointwise", "spatial", "depthwise", "first", "gemm")
        saturated = tuple(kind for kind in kinds if arithmetic in INTEGER and saturates(kind, arithmetic))
        rates = conv.best("pointwise", arithmetic), gemm.best("gemm", arithmetic)
        assert rates[0] is not None
        assert rates[1] is not None
        found.append(Kernel(arithmetic=arithmetic, saturates=saturated, conv=rates[0], gemm=rates[1]))
    return tuple(found)


def kernel_words(kernels: Sequence[Kernel], arithmetic: Arithmetic) -> str:
    """Return what a kernel's behaviour says of it, in a few words."""
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
