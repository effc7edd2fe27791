"""Second moments of the inputs of layers: what a change of their weights does to their outputs.

For a layer ``y = W x`` the mean squared change of ``y`` under ``W -> W + D`` is ``trace(D E[x xT] DT)``. The matrix
``E[x xT]`` over sampled positions of some calibration images is all that local least squares needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class SecondMoments:
    """Moments of the inputs ``x`` of one layer over the sampled positions, by group.

    Attributes:
        products: float32 (groups, inputs, inputs), ``E[x xT]``.
        means: float32 (groups, inputs), ``E[x]``.
        samples: How many ``x`` they were taken over.
    """

    products: npt.NDArray[np.float32]
    means: npt.NDArray[np.float32]
    samples: int

    def merged(self, other: SecondMoments) -> SecondMoments:
        """Return the moments over the samples of both."""
        samples = self.samples + other.samples
        own, others = np.float32(self.samples / samples), np.float32(other.samples / samples)
        return SecondMoments(
            products=own * self.products + others * other.products,
            means=own * self.means + others * other.means,
            samples=samples,
        )

    def raw(self) -> npt.NDArray[np.float64]:
        """Return ``E[x xT]``."""
        return self.products.astype(np.float64)

    def central(self) -> npt.NDArray[np.float64]:
        """Return the covariance of ``x``: what remains when the bias takes up the mean of the change."""
        means = self.means.astype(np.float64)
        return self.raw() - means[:, :, None] * means[:, None, :]
