"""Shapes of convolutions and matrix products, which determine how fast a kernel is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

LayerKind = Literal["pointwise", "spatial", "depthwise", "first", "gemm"]
"""``pointwise``: Conv 1x1. ``spatial``: with a larger kernel, grouped ones too. ``first``: with fewer than four input
channels, as that of an image. ``gemm``: Gemm and MatMul."""

KINDS: tuple[LayerKind, ...] = get_args(LayerKind)
KIND_NAMES: dict[LayerKind, str] = {
    "pointwise": "Conv 1x1",
    "spatial": "Conv 3x3",
    "depthwise": "Conv depthwise",
    "first": "Conv, first layer",
    "gemm": "Gemm",
}
_FLOAT_BYTES = 4
# An int8 dot product takes four channels at once.
_FEW_CHANNELS = 4


@dataclass(frozen=True)
class ConvShape:
    """A two-dimensional convolution of one image.

    Attributes:
        inputs: Input channels, of all groups together.
        outputs: Output channels.
        kernel: Height and width.
        size: Height and width of the input.
        strides: Vertical and horizontal.
        pads: Top, left, bottom, right.
        dilations: Vertical and horizontal.
        group: Number of groups.
    """

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    group: int = 1

    @property
    def kind(self) -> LayerKind:
        """Return what kind of layer it is."""
        return conv_kind(self.inputs // self.group, self.kernel, self.group)

    @property
    def result_size(self) -> tuple[int, int]:
        """Return height and width of the result."""
        height, width = (
            (
                self.size[axis]
                + self.pads[axis]
                + self.pads[axis + 2]
                - (self.kernel[axis] - 1) * self.dilations[axis]
                - 1
            )
            // self.strides[axis]
            + 1
            for axis in (0, 1)
        )
        return height, width

    @property
    def weights(self) -> int:
        """Return the number of weights."""
        return self.outputs * (self.inputs // self.group) * math.prod(self.kernel)

    @property
    def multiply_adds(self) -> int:
        """Return the multiply-adds of one image."""
        return self.weights * math.prod(self.result_size)

    @property
    def fp32_bytes(self) -> int:
        """Return the bytes of weights, input and result in fp32."""
        values = self.inputs * math.prod(self.size) + self.outputs * math.prod(self.result_size)
        return _FLOAT_BYTES * (self.weights + values)


@dataclass(frozen=True)
class GemmShape:
    """A product of a matrix with constant weights.

    Attributes:
        rows: Of the data; one an image in a classifier.
        inputs: Columns of the data.
        outputs: Columns of the result.
    """

    rows: int
    inputs: int
    outputs: int

    @property
    def kind(self) -> LayerKind:
        """Return what kind of layer it is."""
        return "gemm"

    @property
    def multiply_adds(self) -> int:
        """Return the multiply-adds of one run."""
        return self.rows * self.inputs * self.outputs

    @property
    def fp32_bytes(self) -> int:
        """Return the bytes of weights, input and result in fp32."""
        return _FLOAT_BYTES * (self.inputs * self.outputs + self.rows * (self.inputs + self.outputs))


Shape: TypeAlias = ConvShape | GemmShape


@dataclass(frozen=True)
class LayerForm:
    """What the weights of a product tell of it.

    Attributes:
        kind: What kind of layer it is.
        channels: Input channels of one group of a Conv; None for others.
    """

    kind: LayerKind
    channels: int | None = None

    @property
    def note(self) -> str | None:
        """Return what in its shape makes int8 gain little, or None.

        Few input channels make a slow gathering of the patches that the product is made of; a depthwise Conv has no
        sum over channels for the int8 dot product to shorten.
        """
        if self.kind == "first":
            return f"{self.channels} input channel{'' if self.channels == 1 else 's'}"
        return "depthwise" if self.kind == "depthwise" else None


def conv_kind(channels: int, kernel: tuple[int, ...], group: int) -> LayerKind:
    """Return the kind of a Conv.

    Args:
        channels: Input channels of one group.
        kernel: Its kernel's sizes.
        group: Its number of groups.
    """
    if group > 1 and channels == 1:
        return "depthwise"
    if group == 1 and channels < _FEW_CHANNELS:
        return "first"
    return "pointwise" if math.prod(kernel) == 1 else "spatial"
