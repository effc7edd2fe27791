"""Large arrays in parts: the weights of a layer may take half a gigabyte, and so does each form of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt


def in_parts(values: npt.NDArray[Any], most: int) -> Iterator[slice]:
    """Yield slices of an array's first axis, one after the other, with ``most`` values each at most, or one entry."""
    together = max(1, most * len(values) // max(values.size, 1))
    for start in range(0, len(values), together):
        yield slice(start, min(start + together, len(values)))
