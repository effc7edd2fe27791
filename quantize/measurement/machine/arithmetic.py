"""The ways of multiplying that are told apart: the types of activations and weights."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Arithmetic = Literal["fp32", "u8s8", "u8s8 7 bits", "u8u8", "s8s8"]
"""``u8s8``: uint8 activations, int8 weights, and so on. ``7 bits``: weights from -64 to 63."""

ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)
INTEGER: tuple[Arithmetic, ...] = ARITHMETICS[1:]


def activation_type(arithmetic: Arithmetic) -> np.dtype[np.generic]:
    """Return the type of the data."""
    return np.dtype({"fp32": np.float32, "s8s8": np.int8}.get(arithmetic, np.uint8))


def weight_type(arithmetic: Arithmetic) -> np.dtype[np.generic]:
    """Return the type of the weights."""
    return np.dtype({"fp32": np.float32, "u8u8": np.uint8}.get(arithmetic, np.int8))


def largest_weight(arithmetic: Arithmetic) -> int:
    """Return the largest step that a weight is away from zero in each direction."""
    return 63 if arithmetic == "u8s8 7 bits" else 127
