"""Padding each channel of the input with its own value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quantize.formats.graph import Graph
from quantize.formats.parameters import Parameters, add_dequantize, add_quantize
from quantize.rewrites.channel_affine import CHANNELS
from quantize.rewrites.moves import add_move


def pad_channels(
    graph: Graph, pixels: str, by: Parameters | None, values: NDArray[np.float64], pads: Sequence[int], hint: str
) -> str:
    """Pad each channel of a tensor with its own value, and return the result's name.

    Args:
        graph: To add to.
        pixels: The tensor (N, 3, H, W).
        by: The parameters that it is dequantized by; None where it is float.
        values: What to pad with, (3,); rounded to what the tensor can hold.
        pads: Before each axis, after each axis.
        hint: What new nodes and tensors are named after.
    """
    channels = [graph.fresh(f"{hint}_channel_{number}") for number in range(CHANNELS)]
    amounts = graph.add_constant(f"{hint}_pads", np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64))
    sizes = graph.add_constant(f"{hint}_channels", np.ones(CHANNELS, np.int64))
    padded = []
    if by is not None:
        floats = [f"{name}_float" for name in channels]
        graph.add("Split", [pixels, sizes], floats, name=f"{hint}_Split", axis=1)
        for name, integers in zip(floats, channels, strict=True):
            add_quantize(graph, name, by, integers)
        channels = [add_dequantize(graph, name, by) for name in channels]
    elif graph.opset >= 13:
        graph.add("Split", [pixels, sizes], channels, name=f"{hint}_Split", axis=1)
    else:
        graph.add("Split", [pixels], channels, name=f"{hint}_Split", axis=1, split=[1] * CHANNELS)
    for number, name in enumerate(channels):
        exact = np.array(values[number], np.float32)
        value = exact if by is None else by.dequantize(by.quantize(exact))
        constant = graph.add_constant(f"{hint}_padding_{number}", np.asarray(value, np.float32))
        if by is not None:
            padded.append(add_move(graph, "Pad", name, by, name=f"{hint}_Pad_{number}", further=[amounts, constant]))
        else:
            padded.append(graph.fresh(f"{hint}_padded_{number}"))
            graph.add("Pad", [name, amounts, constant], [padded[-1]], name=f"{hint}_Pad_{number}")
    joined = graph.fresh(f"{hint}_padded")
    if by is not None:
        return add_move(graph, "Concat", padded[0], by, name=joined, further=padded[1:], axis=1)
    graph.add("Concat", padded, [joined], name=f"{hint}_Concat", axis=1)
    return joined
