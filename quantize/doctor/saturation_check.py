"""Does the int8 model need 7-bit weights to run on CPUs without VNNI, and what would they cost?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from onnx import ModelProto, numpy_helper

from quantize.doctor.finding import Examined, Finding, not_checked, right, wrong
from quantize.doctor.saturation import LayerSaturation
from quantize.report.wording import percent

Target = Literal["vnni", "avx2", "any"]
_NAME = "saturation"

# An error of a tenth of the output's variance is 10 dB, where rounding to int8 leaves 30 to 40. SqueezeNet's and
# EfficientNet-Lite0's stems, the worst of their layers, are at 0.05 and 0.025.
_TOO_MUCH = 0.1


def examine_saturation(
    layers: Sequence[LayerSaturation], target: Target, agreement: Callable[[int], float]
) -> Examined:
    """Return whether sums of products would saturate where the model is to run.

    Args:
        layers: What was found for each layer.
        target: The CPUs that the model is for.
        agreement: Returns the share of images with fp32's top-1 when weights have this many bits.
    """
    if target == "vnni":
        return not_checked(_NAME, "the target has VNNI, which sums in 32 bits")
    if not layers:
        return not_checked(_NAME, "no layer with constant weights")
    worst = max(layers, key=lambda layer: layer.noise)
    seen = f"{worst.node} most: {percent(worst.share)} of its sums, {percent(worst.noise, 1)} of its output's variance"
    if worst.noise < _TOO_MUCH:
        return right(_NAME, f"little without VNNI ({seen})")
    too_much = [layer for layer in layers if layer.noise >= _TOO_MUCH]
    listed = "; ".join(
        f"{layer.node}: {percent(layer.share)} of its sums, {percent(layer.noise, 1)} of its output's variance"
        for layer in sorted(too_much, key=lambda layer: -layer.noise)[:5]
    )
    eight, seven = agreement(8), agreement(7)
    return wrong(
        _NAME,
        seen,
        Finding(
            check=_NAME,
            what="Without VNNI, sums of int8 products saturate: the model would answer differently on older CPUs.",
            sure="very likely",
            evidence=f"on calibration images, {listed}",
            advice="Use 7-bit weights, which cannot saturate. On the images tried they agree with fp32's top-1 on "
            f"{percent(seven, 1)} ({percent(eight, 1)} with 8 bits; weights alone). Or say --target vnni.",
            command="--reduce_range",
        ),
    )


def with_rounded_weights(model: ModelProto, bits: int) -> ModelProto:
    """Return the fp32 model with its layers' weights rounded to ``bits``, one scale an output channel."""
    rounded = ModelProto()
    rounded.CopyFrom(model)
    axes = {
        node.input[1]: _output_axis(node.op_type, node.attribute) for node in model.graph.node if _has_weights(node)
    }
    most = 2 ** (bits - 1) - 1
    for tensor in rounded.graph.initializer:
        if tensor.name in axes:
            values = numpy_helper.to_array(tensor)
            other = tuple(axis for axis in range(values.ndim) if axis != axes[tensor.name] % values.ndim)
            largest = np.abs(values).max(axis=other, keepdims=True)
            step = np.where(largest > 0, largest, 1) / most
            tensor.CopyFrom(numpy_helper.from_array((np.rint(values / step) * step).astype(np.float32), tensor.name))
    return rounded


def _has_weights(node: object) -> bool:
    return getattr(node, "op_type", "") in ("Conv", "Gemm", "MatMul")


def _output_axis(op_type: str, attributes: Sequence[object]) -> int:
    transposed = any(getattr(entry, "name", "") == "transB" and getattr(entry, "i", 0) for entry in attributes)
    return 0 if op_type == "Conv" or transposed else -1
