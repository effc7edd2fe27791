"""Fold an input contract into a quantized first Conv."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.data.preprocessing import PRESETS
from quantize.formats.bias import add_bias
from quantize.formats.parameters import Parameters, add_dequantize, add_quantize, new_parameters
from quantize.formats.qdq_pattern import constant_integers
from quantize.formats.saturation import can_saturate
from quantize.graph.view import Graph
from quantize.rewrites.channel_affine import ChannelAffine, InputContract
from quantize.rewrites.convs import conv_bias, replace_conv

_EIGHT_BITS, _SEVEN_BITS = 127, 63


def fold_quantized(
    graph: Graph,
    conv: NodeProto,
    pixels: str,
    contract: InputContract,
    affine: ChannelAffine,
    reference: NDArray[Any] | None,
) -> None:
    """Replace a first Conv on the model's own quantized input by one on the contract's.

    Where the Conv pads, it pads with what its input's zero point stands for: the pixel nearest to a native zero, one
    for all channels, so off by half the spread of the channels' means at most, along the image's edges only.

    Args:
        graph: In canonical form.
        conv: The Conv, whose input, weight and bias are dequantized.
        pixels: The contract's input, channels first.
        contract: What it is.
        affine: How the model's own input follows from it.
        reference: The fp32 weight, for a better rounding where the integers cannot stay as they are.
    """
    by, offset = _input_parameters(graph, contract, pixels, affine)
    if contract == "imagenet":
        add_quantize(graph, pixels, by, integers := graph.fresh(f"{pixels}_quantized"))
        pixels = integers
    value = add_dequantize(graph, pixels, by)
    weights = constant_integers(graph, conv.input[1])
    assert weights is not None
    source, old = weights
    if np.ptp(affine.factor) == 0 and affine.factor[0] > 0 and not source.by.zero_point.any():
        integers_new, scale = affine.reordered(old), np.asarray(source.by.scale * affine.factor[0], np.float32)
    else:
        weight = reference if reference is not None and reference.shape == old.shape else source.by.dequantize(old)
        new, _ = affine.folded(weight)
        integers_new, scale = _rounded(new, _EIGHT_BITS)
        if not _saturates(old) and _saturates(integers_new):  # what cannot saturate on any CPU shall not begin to
            integers_new, scale = _rounded(new, _SEVEN_BITS)
    by_w = new_parameters(
        graph, f"{conv.name}_weight", scale, np.zeros(scale.shape, integers_new.dtype), 0 if scale.ndim else None
    )
    weight_name = graph.add_constant(f"{conv.name}_weight", integers_new)
    # The shift goes by the weights as they are quantized, so that their rounding errors act on centred pixels.
    shift = by_w.dequantize(integers_new).astype(np.float64) * (offset - affine.padding).reshape(1, -1, 1, 1)
    bias = conv_bias(graph, conv, len(old)) + shift.sum(axis=(1, 2, 3))
    inputs = [value, add_dequantize(graph, weight_name, by_w), add_bias(graph, f"{conv.name}_bias", bias, by, by_w)]
    replace_conv(graph, conv, inputs)


def _rounded(weight: NDArray[Any], most: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a weight, output channels first, as integers of at most ``most``, and one scale per channel."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scale = np.maximum(largest / most, np.finfo(np.float32).tiny).astype(np.float32)
    return np.clip(np.rint(weight / scale.reshape(-1, 1, 1, 1)), -most, most).astype(np.int8), scale


def _saturates(integers: NDArray[Any]) -> bool:
    return integers.dtype == np.int8 and can_saturate(integers.reshape(len(integers), -1))


def common_padding(contract: InputContract, padding: NDArray[Any]) -> float:
    """Return what a quantized first Conv pads all channels with, where a float one pads each with its own value."""
    return 0.0 if contract == "imagenet" else float(np.clip(np.rint(padding.mean()), 0, 255))


def _input_parameters(
    graph: Graph, contract: InputContract, pixels: str, affine: ChannelAffine
) -> tuple[Parameters, float]:
    """Return the parameters of the contract's input, and what a real zero of the tensor is in the contract's numbers.

    Raw pixels: a pixel a step, around the pixel that is nearest to a native zero. The preset: all that it can give.
    """
    if contract != "imagenet":
        middle = common_padding(contract, affine.padding)
        return new_parameters(graph, pixels, 1.0, np.array(middle, np.uint8), None), middle
    ends = PRESETS["imagenet"].normalize(np.array([0, 255], np.uint8).reshape(1, 1, 2, 1).repeat(3, axis=3))
    low, high = float(ends.min()), float(ends.max())
    scale = np.float32((high - low) / 255)
    return new_parameters(graph, pixels, scale, np.array(round(-low / float(scale)), np.uint8), None), 0.0
