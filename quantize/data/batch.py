"""What a model is fed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images as the model takes them.

    Attributes:
        ids: The images' names; every prediction leads back to a file.
        images: (N, 3, H, W) float32, normalized, contiguous.
        labels: (N,) int64, or None where the data has no labels.
    """

    ids: tuple[str, ...]
    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64] | None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.ids)
