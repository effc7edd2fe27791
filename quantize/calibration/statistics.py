"""The statistics of every tensor after the calibration pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantize.grid.histogram import Distribution

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


@dataclass(frozen=True)
class TensorStatistics(Distribution):
    """Values of one tensor over the calibration images.

    Attributes:
        means: The mean by channel; None for tensors without channels.
    """

    means: ChannelMeans | None

    def merged(self, other: TensorStatistics) -> TensorStatistics:
        """Return the statistics of the values of both."""
        if (self.means is None) != (other.means is None):
            raise ValueError("only one of two statistics of a tensor has means by channel")
        return TensorStatistics(
            histogram=self.histogram.merged(other.histogram),
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            means=self.means.merged(other.means) if self.means is not None and other.means is not None else None,
        )


@dataclass(frozen=True)
class CalibrationStatistics:
    """Statistics of every float tensor of a model over a calibration set.

    Attributes:
        tensors: By tensor name.
        images: How many images were seen.
        unbounded: Tensors without statistics: they have no values, or some that are not finite, such as a mask's
            infinities, or only such as are next to 0. No grid holds them.
        fingerprints: What the statistics came from (model, images, preprocessing, version of this code).
    """

    tensors: Mapping[str, TensorStatistics]
    images: int
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    unbounded: frozenset[str] = frozenset()

    def merged(self, other: CalibrationStatistics) -> CalibrationStatistics:
        """Return the statistics of the images of both; associative and commutative.

        Raises:
            ValueError: If the two are not of the same tensors.
        """
        if {*self.tensors, *self.unbounded} != {*other.tensors, *other.unbounded}:
            raise ValueError("statistics of different models cannot be merged")
        tensors = {name: own.merged(other.tensors[name]) for name, own in self.tensors.items() if name in other.tensors}
        return CalibrationStatistics(
            tensors=tensors,
            unbounded=self.unbounded | other.unbounded,
            images=self.images + other.images,
            fingerprints=self.fingerprints if self.fingerprints == other.fingerprints else {},
        )
