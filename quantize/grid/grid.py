"""The values that eight bits can take, and what putting a tensor on them costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from quantize.grid.histogram import Histogram

_LEVELS = {"uint8": (0, 255), "int8": (-128, 127)}


@dataclass(frozen=True)
class Grid:
    """An affine quantization grid: ``real = (level - zero_point) * scale``.

    Attributes:
        scale: The distance of two neighbours, positive, a float32 number.
        zero_point: The level of 0.0.
        lowest: The least level.
        highest: The greatest level.
    """

    scale: float
    zero_point: int
    lowest: int
    highest: int

    @staticmethod
    def covering(
        minimum: float,
        maximum: float,
        *,
        activation_type: Literal["uint8", "int8"] = "uint8",
        symmetric: bool = False,
    ) -> Grid:
        """Return the grid that covers a range; 0.0 is always one of its values.

        Args:
            minimum: Lower end of the range; raised ends are moved down to 0.0.
            maximum: Upper end; moved up to 0.0.
            activation_type: The type of the levels.
            symmetric: The zero point is fixed at the middle level.
        """
        lowest, highest = _LEVELS[activation_type]
        low, high = min(minimum, 0.0), max(maximum, 0.0)
        if symmetric:
            middle = 0 if activation_type == "int8" else 128
            scale = max(-low / (middle - lowest), high / (highest - middle))
            return Grid(_usable(scale), middle, lowest, highest)
        scale = _usable((high - low) / (highest - lowest))
        zero_point = int(np.clip(np.rint(lowest - low / scale), lowest, highest))
        return Grid(scale, zero_point, lowest, highest)

    @property
    def range(self) -> tuple[float, float]:
        """Return the least and the greatest value."""
        return (self.lowest - self.zero_point) * self.scale, (self.highest - self.zero_point) * self.scale

    def placed(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the value of the grid nearest to every given one (ties to even, as QuantizeLinear rounds)."""
        steps = np.clip(np.rint(values / self.scale), self.lowest - self.zero_point, self.highest - self.zero_point)
        placed: npt.NDArray[np.float64] = steps * self.scale
        return placed


def _usable(scale: float) -> float:
    """Return the scale as float32, 1 where a tensor is constantly zero."""
    rounded = float(np.float32(scale))
    return rounded if rounded > float(np.finfo(np.float32).tiny) else 1.0


def squared_error(histogram: Histogram, grid: Grid) -> float:
    """Return the mean squared error of a tensor's values on a grid, in squared units of the tensor.

    The values are taken as evenly spread over each bin, and the error is integrated over it exactly: with
    ``n(t) = clip(round(t))`` and ``r = t - n``, an antiderivative of ``r ** 2`` is ``n / 12 + r ** 3 / 3``.
    """
    if not histogram.total:
        return 0.0
    low, high = (edge / grid.scale for edge in histogram.edges())
    width = high - low
    narrow = width < 1e-3
    integral = np.diff(_antiderivative(np.stack([low, high]), grid), axis=0)[0]
    middle = (low + high) / 2
    residual = middle - _steps(middle, grid)
    mean = np.where(narrow, residual**2, integral / np.where(narrow, 1.0, width))
    return float((mean * histogram.counts).sum() / histogram.total) * grid.scale**2


def _steps(positions: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    return np.clip(np.rint(positions), grid.lowest - grid.zero_point, grid.highest - grid.zero_point)


def _antiderivative(positions: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    steps = _steps(positions, grid)
    return steps / 12 + (positions - steps) ** 3 / 3
