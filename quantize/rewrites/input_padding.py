"""Padding each channel of a float input with its own value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quantize.graph.view import Graph
from quantize.rewrites.channel_affine import CHANNELS


def pad_channels(graph: Graph, pixels: str, values: NDArray[np.float64], pads: Sequence[int], hint: str) -> str:
    """Pad each channel of a tensor with its own value, and return the result's name.

    Args:
        graph: To add to.
        pixels: The tensor, float32 (N, 3, H, W).
        values: What to pad with, (3,).
        pads: Before each axis, after each axis.
        hint: What new nodes and tensors are named after.
    """
    channels = [graph.fresh(f"{hint}_channel_{number}") for number in range(CHANNELS)]
    if graph.opset >= 13:
        sizes = graph.add_constant(f"{hint}_channels", np.ones(CHANNELS, np.int64))
        graph.add("Split", [pixels, sizes], channels, name=f"{hint}_Split", axis=1)
    else:
        graph.add("Split", [pixels], channels, name=f"{hint}_Split", axis=1, split=[1] * CHANNELS)
    amounts = graph.add_constant(f"{hint}_pads", np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64))
    padded = []
    for number, name in enumerate(channels):
        value = graph.add_constant(f"{hint}_padding_{number}", np.array(values[number], np.float32))
        padded.append(graph.fresh(f"{hint}_padded_{number}"))
        graph.add("Pad", [name, amounts, value], [padded[-1]], name=f"{hint}_Pad_{number}")
    joined = graph.fresh(f"{hint}_padded")
    graph.add("Concat", padded, [joined], name=f"{hint}_Concat", axis=1)
    return joined
