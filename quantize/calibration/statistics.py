"""What is known of every tensor after the calibration pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quantize.calibration.channel_means import ChannelMeans
from quantize.grid.histogram import Histogram


@dataclass(frozen=True)
class TensorStatistics:
    """Values of one tensor over the calibration images.

    Attributes:
        histogram: All values, by bin.
        minimum: The least value, exact.
        maximum: The greatest value, exact.
        means: The mean by channel; None for tensors without channels.
    """

    histogram: Histogram
    minimum: float
    maximum: float
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
        fingerprints: What the statistics came from (model, images, preprocessing, version of this code).
    """

    tensors: Mapping[str, TensorStatistics]
    images: int
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def merged(self, other: CalibrationStatistics) -> CalibrationStatistics:
        """Return the statistics of the images of both; associative and commutative.

        Raises:
            ValueError: If the two are not of the same tensors.
        """
        if set(self.tensors) != set(other.tensors):
            raise ValueError("statistics of different models cannot be merged")
        return CalibrationStatistics(
            tensors={name: own.merged(other.tensors[name]) for name, own in self.tensors.items()},
            images=self.images + other.images,
            fingerprints=self.fingerprints if self.fingerprints == other.fingerprints else {},
        )
