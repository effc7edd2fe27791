"""Keep the scales of weights, and which can saturate, which most candidates share."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

import numpy as np

from quantize.engines.native.builder.weight_scales import WEIGHT_MSE, Floats, saturates, weight_scales
from quantize.recipe import Recipe


class KeptScales:
    """Scales by the weights that they are of: candidates differ in grids of activations and in a few layers.

    Scales of the least squared error take some eighty roundings of the weights to find.
    """

    def __init__(self) -> None:
        """Set up; nothing is kept."""
        self._scales: dict[Hashable, Floats] = {}
        self._saturating: dict[str, bool] = {}

    def of(self, rows: Floats, digest: str, level: int, recipe: Recipe) -> Floats:
        """Return what ``weight_scales`` says of weights.

        Args:
            rows: (output channels, inputs of one), the weights.
            digest: Their ``digest_of``.
            level: The level of the greatest weight.
            recipe: Per channel or per tensor, and by which measure.
        """
        key = digest, level, recipe.per_channel, WEIGHT_MSE in recipe.corrections
        if key not in self._scales:
            scales = weight_scales(rows, level, recipe)
            scales.setflags(write=False)  # it is given to many
            self._scales[key] = scales
        return self._scales[key]

    def saturates(self, rows: Floats, digest: str) -> bool:
        """Return what ``weight_scales.saturates`` says of weights that have this ``digest_of``."""
        if digest not in self._saturating:
            self._saturating[digest] = saturates(rows)
        return self._saturating[digest]


def digest_of(rows: Floats) -> str:
    """Return the SHA-256 of a layer's weights, their shape included."""
    digest = hashlib.sha256(repr(rows.shape).encode())
    digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()
