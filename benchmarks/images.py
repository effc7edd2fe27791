"""Inputs for the timing scripts: prepared noise, since no time of a run depends on what the pixels show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.models.session import open_session

COUNT = 64


def prepared(model: Path) -> list[NDArray[Any]]:
    """Return 64 different inputs of the shape and type that a model takes, one image each."""
    contract = open_session(model).get_inputs()[0]
    shape = [size if isinstance(size, int) else 224 for size in contract.shape]
    shape[0] = contract.shape[0] if isinstance(contract.shape[0], int) else 1
    generator = np.random.default_rng(0)
    if "uint8" in contract.type:
        return [generator.integers(0, 256, shape, dtype=np.uint8) for _ in range(COUNT)]
    return [generator.normal(0, 60, shape).astype(np.float32) for _ in range(COUNT)]
