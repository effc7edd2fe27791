"""Crops of known values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def every_value() -> npt.NDArray[np.uint8]:
    """Crops that hold each of the 256 values in each channel, ordered differently in each."""
    values = np.arange(256, dtype=np.uint8)
    return np.stack([values, values[::-1], np.roll(values, 7)], axis=-1).reshape(1, 16, 16, 3)
