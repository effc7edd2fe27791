"""How a model's own input is computed, channel by channel, from the input of a contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quantize.data.preprocessing import PRESETS, Preprocessing

InputContract = Literal["as-is", "imagenet", "uint8-nchw", "uint8-nhwc"]
CONTRACTS: tuple[InputContract, ...] = ("as-is", "imagenet", "uint8-nchw", "uint8-nhwc")


@dataclass(frozen=True)
class ChannelAffine:
    """``native[k] = factor[k] * given[order[k]] + shift[k]`` for the channels k of the model's own input.

    Attributes:
        factor: float64 (C,).
        shift: float64 (C,).
        order: Where each of the model's channels stands in the contract's input, which is RGB.
    """

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]
    order: tuple[int, ...]

    @classmethod
    def between(cls, contract: InputContract, preprocessing: Preprocessing) -> ChannelAffine:
        """Return how a model's own input follows from a contract's."""
        given = PRESETS["imagenet"] if contract == "imagenet" else None
        scale, mean, std = (
            (1.0, np.zeros(preprocessing.channels), np.ones(preprocessing.channels))
            if given is None
            else (given.scale, np.array(given.mean), np.array(given.std))
        )
        factor = preprocessing.scale * std / (scale * np.array(preprocessing.std))
        shift = (preprocessing.scale * mean / scale - np.array(preprocessing.mean)) / np.array(preprocessing.std)
        order = tuple(range(preprocessing.channels))[:: -1 if preprocessing.channel_order == "BGR" else 1]
        return cls(factor[list(order)], shift[list(order)], order)

    @property
    def padding(self) -> NDArray[np.float64]:
        """Return what stands for a native zero, by channel of the contract's input."""
        zero = np.empty(len(self.order))
        zero[list(self.order)] = -self.shift / self.factor
        return zero

    @property
    def is_identity(self) -> bool:
        """Return whether both inputs are the same."""
        same = np.allclose(self.factor, 1.0, rtol=1e-7) and np.allclose(self.shift, 0.0, atol=1e-7)
        return same and self.order == tuple(range(len(self.order)))

    def reordered(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Return a weight (M, C, kH, kW) with its input channels in the order of the contract's input."""
        turned = np.empty_like(weight)
        turned[:, list(self.order)] = weight
        return turned

    def folded(self, weight: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weight for the contract's channels, and what goes to the bias, (M,), both float64."""
        wide = weight.astype(np.float64)
        shift = (wide * self.shift.reshape(1, -1, 1, 1)).sum(axis=(1, 2, 3))
        return self.reordered(wide * self.factor.reshape(1, -1, 1, 1)), shift


def contract_input(
    contract: InputContract, preprocessing: Preprocessing, crops: NDArray[np.uint8]
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Return what a model with a contract takes for crops (N, H, W, C), RGB or grey, 0-255."""
    if contract == "uint8-nhwc":
        return crops
    if contract == "uint8-nchw":
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
    return (PRESETS["imagenet"] if contract == "imagenet" else preprocessing).normalize(crops)
