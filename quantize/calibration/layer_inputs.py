"""What a layer's weights are applied to, at some places of one image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

POSITIONS = 64
"""Positions of a Conv's output sampled in one image, evenly spaced."""


@dataclass(frozen=True)
class Window:
    """How a layer's inputs are cut out of its input tensor.

    Attributes:
        node: The layer's name.
        input: The input tensor.
        group: Groups of a Conv, else 1.
        inputs: Of one output channel.
        kernel: Height and width of the kernel; None for layers applied to the last axis.
        strides: Of the Conv.
        pads: top, left, bottom, right.
        dilations: Of the Conv.
    """

    node: str
    input: str
    group: int
    inputs: int
    kernel: tuple[int, int] | None
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class Sampling:
    """Which of a layer's inputs are sampled in an image of some size.

    Attributes:
        groups: Of a Conv, else 1.
        samples: How many there are: ``POSITIONS`` at most.
        inputs: Of one output channel.
        index: int64 (samples, kernel size), positions in a channel's plane, -1 in the padding; (samples,), rows, of
            layers applied to the last axis.
        plane: Values of a channel's plane; 0 of layers applied to the last axis.
    """

    groups: int
    samples: int
    inputs: int
    index: npt.NDArray[np.int64]
    plane: int = 0

    @property
    def is_smaller_whole(self) -> bool:
        """Return whether it is a depthwise Conv whose input has fewer values than what is sampled: windows overlap."""
        return self.plane > 0 and self.inputs == self.index.shape[1] and self.plane < self.index.size

    def take(self, values: npt.NDArray[np.float32], samples: npt.NDArray[np.float32]) -> None:
        """Fill float32 (groups, samples, inputs) from the input tensor of one image."""
        if not self.plane:
            samples[0] = values.reshape(-1, self.inputs)[self.index]
            return
        index = self.index.reshape(-1)
        taken = np.take(values[0].reshape(-1, self.plane), index, axis=1)
        taken[:, index < 0] = 0.0
        by_channel = taken.reshape(self.groups, -1, self.samples, self.index.shape[1])
        samples.reshape(self.groups, self.samples, -1, self.index.shape[1])[...] = by_channel.swapaxes(1, 2)


@lru_cache(maxsize=4096)
def sampling(window: Window, shape: tuple[int, ...]) -> Sampling:
    """Return what is sampled, evenly spaced, where the input tensor of one image has this shape."""
    if window.kernel is None:
        rows = _spread(math.prod(shape[:-1]))
        return Sampling(1, len(rows), shape[-1], rows)
    sizes = shape[2:]
    ends = zip(window.pads[:2], window.pads[2:], strict=True)
    steps = [
        (size + sum(pads) - (kernel - 1) * dilation - 1) // stride + 1
        for size, pads, kernel, dilation, stride in zip(
            sizes, ends, window.kernel, window.dilations, window.strides, strict=True
        )
    ]
    places = np.divmod(_spread(math.prod(steps)), steps[1])
    rows, columns = (
        (at * stride - before)[:, None] + np.arange(kernel) * dilation
        for at, stride, before, kernel, dilation in zip(
            places, window.strides, window.pads[:2], window.kernel, window.dilations, strict=True
        )
    )
    rows, columns = (np.where((at < 0) | (at >= size), -1, at) for at, size in zip((rows, columns), sizes, strict=True))
    index = rows[:, :, None] * sizes[1] + columns[:, None, :]
    outside = (rows < 0)[:, :, None] | (columns < 0)[:, None, :]
    return Sampling(
        groups=window.group,
        samples=len(rows),
        inputs=shape[1] // window.group * math.prod(window.kernel),
        index=np.where(outside, -1, index).reshape(len(rows), -1),
        plane=math.prod(sizes),
    )


def _spread(size: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, size - 1, min(size, POSITIONS)).round().astype(np.int64))
