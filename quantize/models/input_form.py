"""Images in the type and layout that a model takes as input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.data.preprocessing import Preprocessing
from quantize.models.contract import Layout, ModelContract

PIXELS = "uint8"


def takes_pixels(contract: ModelContract) -> bool:
    """Return whether a model takes pixels as they are decoded, so that nothing is normalized for it."""
    return contract.input.dtype == PIXELS


def in_form(contract: ModelContract, images: NDArray[np.float32]) -> NDArray[Any]:
    """Return images in the type and layout that a model takes, contiguous.

    Args:
        contract: The model's.
        images: float32 (N, C, H, W), normalized as the model wants; for a model that takes pixels these are whole
            values in 0-255, so that nothing is lost.
    """
    laid = images.transpose(0, 2, 3, 1) if contract.input_layout == "NHWC" else images
    return np.ascontiguousarray(laid, dtype=contract.input.dtype)


def filled(images: NDArray[Any], size: int) -> NDArray[Any]:
    """Return images (N, ...) as a batch of at least ``size``: too few of them are followed by copies of themselves.

    A model of a fixed batch takes nothing less; its results beyond the N-th are to be thrown away.
    """
    return images if len(images) >= size else np.resize(images, (size, *images.shape[1:]))


def model_input(
    preprocessing: Preprocessing, crops: NDArray[np.uint8], *, layout: Layout, dtype: str
) -> NDArray[np.generic]:
    """Return crops as a server gives them to a model: pixels take no float work at all.

    Args:
        preprocessing: How the model's input is made.
        crops: uint8 (N, H, W, C), RGB or grey.
        layout: Of the model's input.
        dtype: Of the model's input.

    Raises:
        ValueError: The model takes pixels, and the preprocessing would change them.
    """
    if dtype != PIXELS:
        images = preprocessing.normalize(crops)
        return np.ascontiguousarray(images if layout == "NCHW" else images.transpose(0, 2, 3, 1), dtype=dtype)
    if not preprocessing.leaves_pixels:
        raise ValueError("a model that takes pixels was given a normalization")
    pixels = crops[..., ::-1] if preprocessing.channel_order == "BGR" else crops
    return np.ascontiguousarray(pixels if layout == "NHWC" else pixels.transpose(0, 3, 1, 2))
