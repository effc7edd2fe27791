"""How a layer's inputs are cut out of its input tensor: the columns that its weights are applied to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

POSITIONS = 64
"""Positions of a Conv's output sampled in one image, evenly spaced."""

LARGEST = 2304
"""Inputs of one output channel above which a layer's moments are not collected: the matrix has their square."""


@dataclass(frozen=True)
class Window:
    """How a layer's inputs are cut out of its input tensor.

    Attributes:
        node: The layer's name.
        input: The input tensor.
        group: Groups of a Conv, else 1.
        kernel: Height and width of the kernel; None for layers applied to the last axis.
        strides: Of the Conv.
        pads: top, left, bottom, right.
        dilations: Of the Conv.
    """

    node: str
    input: str
    group: int
    kernel: tuple[int, int] | None
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)


def sampled(values: npt.NDArray[np.float32], window: Window) -> npt.NDArray[np.float32]:
    """Return float32 (groups, samples, inputs): what the layer's weights are applied to."""
    if window.kernel is None:
        rows = values.reshape(-1, values.shape[-1])
        return rows[_spread(len(rows))][None]
    top, left, bottom, right = window.pads
    padded = np.pad(values[0], ((0, 0), (top, bottom), (left, right)))
    extent = [(size - 1) * step + 1 for size, step in zip(window.kernel, window.dilations, strict=True)]
    views = sliding_window_view(padded, (padded.shape[0], *extent))[0][
        :: window.strides[0], :: window.strides[1], :, :: window.dilations[0], :: window.dilations[1]
    ]
    width = views.shape[1]
    rows, columns = np.divmod(_spread(views.shape[0] * width), width)
    patches = views[rows, columns]
    samples, channels = patches.shape[:2]
    grouped = patches.reshape(samples, window.group, channels // window.group, -1)
    return np.ascontiguousarray(grouped.swapaxes(0, 1)).reshape(window.group, samples, -1)


def _spread(size: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, size - 1, min(size, POSITIONS)).round().astype(np.int64))
