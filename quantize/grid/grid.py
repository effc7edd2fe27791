"""Scale and zero point: the real numbers that integers represent, and the error of rounding a tensor to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.grid.histogram import Histogram
from quantize.grid.parts import in_parts

Floats = npt.NDArray[np.floating[Any]]

_TOGETHER = 1_000_000
"""Values that are put on a grid at a time."""


@dataclass(frozen=True, eq=False)
class Grid:
    """How integers represent real numbers: ``real = (integer - zero_point) * scale``.

    Attributes:
        scale: float32, scalar (per tensor) or of shape (channels,); positive.
        zero_point: Of the integers' type and the scale's shape: the integer of 0.0.
        axis: The axis of the channels; None per tensor.
    """

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[Any]
    axis: int | None = None

    @staticmethod
    def covering(
        minimum: float,
        maximum: float,
        *,
        activation_type: npt.DTypeLike = "uint8",
        symmetric: bool = False,
    ) -> Grid:
        """Return the grid per tensor that covers a range; 0.0 is always a value of the grid.

        Args:
            minimum: Lower end of the range; above 0.0 it is moved down to 0.0.
            maximum: Upper end; below 0.0 it is moved up to 0.0.
            activation_type: The type of the integers.
            symmetric: The zero point is fixed at the middle integer.
        """
        integers = np.iinfo(activation_type)
        lowest, highest = int(integers.min), int(integers.max)
        low, high = min(minimum, 0.0), max(maximum, 0.0)
        if symmetric:
            zero_point = (lowest + highest + 1) // 2
            scale = usable_scale(max(-low / (zero_point - lowest), high / (highest - zero_point)))
        else:
            scale = usable_scale((high - low) / (highest - lowest))
            zero_point = int(np.clip(np.rint(lowest - low / float(scale)), lowest, highest))
        return Grid(scale, np.array(zero_point, integers.dtype))

    @property
    def lowest(self) -> int:
        """Return the smallest integer of the type."""
        return int(np.iinfo(self.zero_point.dtype).min)

    @property
    def highest(self) -> int:
        """Return the largest integer of the type."""
        return int(np.iinfo(self.zero_point.dtype).max)

    @property
    def low(self) -> float:
        """Return the smallest real number that a tensor can hold (per tensor), not rounded to float32."""
        return (self.lowest - int(self.zero_point)) * float(self.scale)

    @property
    def high(self) -> float:
        """Return the largest real number that a tensor can hold (per tensor), not rounded to float32."""
        return (self.highest - int(self.zero_point)) * float(self.scale)

    def same_as(self, other: Grid) -> bool:
        """Return whether both give the same integers the same meaning."""
        return (
            self.axis == other.axis
            and self.zero_point.dtype == other.zero_point.dtype
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    def quantize(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return integers, rounded half to even and saturated, as QuantizeLinear does (ONNX operator text)."""
        quantized = np.empty(values.shape, self.zero_point.dtype)
        for part in _in_parts(values):
            scale, zero_point = self._of_part(values.ndim, part)
            with np.errstate(over="ignore"):  # a bound that is no bound, float32's largest, saturates as well
                integers = np.asarray(values[part].astype(np.float32, copy=False) / scale)
                np.rint(integers, out=integers)
                integers += zero_point.astype(np.float32)
            quantized[part] = np.clip(integers, self.lowest, self.highest, out=integers)
        return quantized

    def dequantize(self, integers: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return float32 values, as DequantizeLinear does (ONNX operator text)."""
        scale, zero_point = self._aligned(integers.ndim)
        difference = integers.astype(np.int64) - zero_point.astype(np.int64)
        return (difference.astype(np.float32) * scale).astype(np.float32)

    def placed(self, values: Floats) -> Floats:
        """Return the value of the grid nearest to every given one, of the values' type (ties to even)."""
        placed = np.empty_like(values)
        for part in _in_parts(values):
            self._place(values, part, placed[part])
        return placed

    def placed_in_parts(self, values: Floats) -> Iterator[Floats]:
        """Yield what ``placed`` returns, some of the first axis at a time."""
        for part in _in_parts(values):
            placed = np.empty_like(values[part])
            self._place(values, part, placed)
            yield placed

    def _place(self, values: Floats, part: slice | EllipsisType, placed: Floats) -> None:
        scale, zero_point = self._of_part(values.ndim, part)
        zero = zero_point.astype(values.dtype)
        np.divide(values[part], scale, out=placed)
        np.rint(placed, out=placed)
        np.clip(placed, self.lowest - zero, self.highest - zero, out=placed)
        placed *= scale

    def _of_part(self, rank: int, part: slice | EllipsisType) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """Return scale and zero point in a shape that meets some of the first axis of a tensor of this rank."""
        scale, zero_point = self._aligned(rank)
        if scale.ndim and len(scale) > 1:
            return scale[part], zero_point[part]
        return scale, zero_point

    def _aligned(self, rank: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """Return scale and zero point in a shape that meets a tensor of this rank channel by channel."""
        if self.axis is None:
            return self.scale, self.zero_point
        shape = [1] * rank
        shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero_point.reshape(shape)


def _in_parts(values: npt.NDArray[Any]) -> Iterator[slice | EllipsisType]:
    """Yield what cuts a tensor along its first axis; a single value is one part."""
    if not values.ndim:
        yield ...
        return
    yield from in_parts(values, _TOGETHER)


GridOf = Callable[[float, float], Grid]
"""Returns the grid that covers a range, from its lower to its upper end: it fixes the integers and the symmetry."""

_TINY = np.finfo(np.float32).tiny
_LEAST_MAGNITUDE = 1e-34
"""Of the greatest value on a grid: integer kernels multiply its step with others', and lose what is below 2^-126."""


def can_be_held(magnitude: float) -> bool:
    """Return whether a grid can hold values of up to a magnitude: all are 0, or not too near to it."""
    return magnitude == 0.0 or magnitude >= _LEAST_MAGNITUDE


def usable_scale(scale: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return scales as float32, 1 where a tensor or channel is constantly zero."""
    rounded = np.asarray(scale, np.float32)
    return np.where(rounded > _TINY, rounded, np.float32(1.0)).astype(np.float32)


def squared_error(histogram: Histogram, grid: Grid) -> float:
    """Return the mean squared error of a tensor's values on a grid per tensor, in squared units of the tensor.

    Values are assumed to be evenly spread over each bin, and the error is integrated exactly: with
    ``n(t) = clip(round(t))`` and ``r = t - n``, an antiderivative of ``r ** 2`` is ``n / 12 + r ** 3 / 3``.
    """
    if not histogram.total:
        return 0.0
    scale = float(grid.scale)
    low, high = (edge / scale for edge in histogram.edges())
    width = high - low
    narrow = width < 1e-3
    integral = np.diff(_antiderivative(np.stack([low, high]), grid), axis=0)[0]
    middle = (low + high) / 2
    residual = middle - _steps(middle, grid)
    mean = np.where(narrow, residual**2, integral / np.where(narrow, 1.0, width))
    return float((mean * histogram.counts).sum() / histogram.total) * scale**2


def _steps(positions: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    zero_point = int(grid.zero_point)
    return np.clip(np.rint(positions), grid.lowest - zero_point, grid.highest - zero_point)


def _antiderivative(positions: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    steps = _steps(positions, grid)
    residuals = positions - steps
    cubes = residuals * residuals * residuals  # as a power of 3, they take numpy ten times as long
    integral: npt.NDArray[np.float64] = steps / 12 + cubes / 3
    return integral
