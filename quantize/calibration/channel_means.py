"""Per-channel sums that do not depend on the order in which images come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FRACTION = float(1 << 32)


@dataclass(frozen=True, eq=False)
class ChannelMeans:
    """The mean of a tensor by channel, as an exact sum of one mean an image.

    Every image's mean is rounded to a multiple of 2^-32 and added as integers, so that merging is exactly
    associative and commutative, which no sum of floating-point numbers is.

    Attributes:
        whole: int64 (C,), the sum of the integer parts.
        fraction: int64 (C,), the sum of the remainders, in units of 2^-32.
        images: How many images were added.
    """

    whole: npt.NDArray[np.int64]
    fraction: npt.NDArray[np.int64]
    images: int

    @staticmethod
    def of_image(means: npt.NDArray[np.float32]) -> ChannelMeans:
        """Return the statistics of one image.

        Args:
            means: (C,) the image's mean by channel.

        Raises:
            ValueError: If a mean is not finite.
        """
        exact = means.astype(np.float64).reshape(-1)
        if not np.isfinite(exact).all():
            raise ValueError("infinities or NaN among the means of a tensor")
        whole = np.floor(exact)
        return ChannelMeans(whole.astype(np.int64), np.rint((exact - whole) * _FRACTION).astype(np.int64), 1)

    def merged(self, other: ChannelMeans) -> ChannelMeans:
        """Return the statistics of the images of both."""
        return ChannelMeans(self.whole + other.whole, self.fraction + other.fraction, self.images + other.images)

    def mean(self) -> npt.NDArray[np.float64]:
        """Return float64 (C,), the mean over all images."""
        return (self.whole.astype(np.float64) + self.fraction.astype(np.float64) / _FRACTION) / self.images

    def __eq__(self, other: object) -> bool:
        """Return whether the sums and the number of images are the same."""
        if not isinstance(other, ChannelMeans):
            return NotImplemented
        return (
            self.images == other.images
            and np.array_equal(self.whole, other.whole)
            and np.array_equal(self.fraction, other.fraction)
        )

    __hash__ = None  # type: ignore[assignment]
