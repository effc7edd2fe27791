"""An adaptive histogram whose bins are the bfloat16 numbers.

A float32 value falls into the bin named by its upper 16 bits: sign, 8 bits of exponent, 7 of mantissa. So there are
128 bins to every octave, the width of a bin is at most 1/128 of its lower edge, every finite float32 has a bin from
the start, and no range ever has to be guessed or grown. The bin of a value depends on nothing but the value:
merging is the addition of integers, exactly associative and commutative, whatever the batch size or the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import numpy.typing as npt

_SIGN = 0x8000
_INFINITE = 0x7F80
CODES = 1 << 16
"""Number of codes, the upper 16 bits of a float32, that ``Histogram.of_code_counts`` takes counts for."""


def codes_of(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Return a view, without a copy where ``values`` is contiguous, of the upper 16 bits of every value, flat."""
    flat = np.ascontiguousarray(values, dtype="<f4").reshape(-1)
    return flat.view("<u2")[1::2]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of values by bin.

    Bin ``k > 0`` covers ``[e(k), e(k + 1))`` with ``e(k)`` the float32 whose upper 16 bits are ``k``; bin ``-k``
    mirrors it; bin 0 covers ``(-e(1), e(1))``, that is zero and the denormals below 1e-40.

    Attributes:
        bins: int32 (B,), the occupied bins, ascending.
        counts: int64 (B,), how many values fell into each, all positive.
    """

    bins: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]

    @staticmethod
    def of_code_counts(counts: npt.NDArray[np.int64]) -> Histogram:
        """Return the histogram of ``counts``, int64 (65536,), indexed by the upper 16 bits of the values.

        Raises:
            ValueError: If an infinity or a NaN was counted.
        """
        occupied = np.flatnonzero(counts)
        magnitude = (occupied & (_SIGN - 1)).astype(np.int32)
        if magnitude.size and int(magnitude.max()) >= _INFINITE:
            raise ValueError("infinities or NaN among the values of a histogram")
        signed = np.where(occupied & _SIGN, -magnitude, magnitude)
        return _summed(signed.astype(np.int32), counts[occupied])

    @staticmethod
    def of(values: npt.NDArray[np.float32]) -> Histogram:
        """Return the histogram of an array of float32 values of any shape.

        Raises:
            ValueError: If a value is infinite or NaN.
        """
        return Histogram.of_code_counts(np.bincount(codes_of(values), minlength=CODES).astype(np.int64))

    @staticmethod
    def sum(*histograms: Histogram) -> Histogram:
        """Return the histogram of all values of several histograms."""
        return reduce(Histogram.merged, histograms, EMPTY)

    def merged(self, other: Histogram) -> Histogram:
        """Return the histogram of the values of both."""
        return _summed(np.concatenate([self.bins, other.bins]), np.concatenate([self.counts, other.counts]))

    def clipped(self, lowest: float | None, highest: float | None) -> Histogram:
        """Return the histogram of the values clipped to ``[lowest, highest]``: that of a Relu's or Clip's output."""
        low = int(bin_of(lowest)) if lowest is not None else int(np.iinfo(np.int32).min)
        high = int(bin_of(highest)) if highest is not None else int(np.iinfo(np.int32).max)
        return _summed(np.clip(self.bins, low, high).astype(np.int32), self.counts)

    def without_small(self, magnitude: float) -> Histogram:
        """Return the histogram with all values up to about ``magnitude`` set to zero."""
        small = np.abs(self.bins) <= bin_of(magnitude)
        return _summed(np.where(small, 0, self.bins).astype(np.int32), self.counts)

    @property
    def total(self) -> int:
        """Return the number of values."""
        return int(self.counts.sum())

    def edges(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return float64 (B,) lower and upper edges of the bins; both are 0 for the bin of zero."""
        return self._edges

    @cached_property
    def _edges(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        magnitude = np.abs(self.bins)
        near, far = lower_edge(magnitude), np.where(magnitude == 0, 0.0, lower_edge(magnitude + 1))
        negative = self.bins < 0
        return np.where(negative, -far, near), np.where(negative, -near, far)

    def __eq__(self, other: object) -> bool:
        """Return whether every bin holds the same count."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return np.array_equal(self.bins, other.bins) and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Distribution:
    """The values of a tensor, as a range rule sees them.

    Attributes:
        histogram: All values, by bin.
        minimum: The least value, exact.
        maximum: The greatest value, exact.
    """

    histogram: Histogram
    minimum: float
    maximum: float


def lower_edge(magnitudes: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Return float64 magnitudes whose float32 form has the given upper 16 bits and zeros below."""
    return (magnitudes.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def bin_of(value: float) -> int:
    """Return the bin that a finite value falls into."""
    code = int(codes_of(np.array([value], np.float32))[0])
    return -(code & (_SIGN - 1)) if code & _SIGN else code


def _summed(bins: npt.NDArray[np.int32], counts: npt.NDArray[np.int64]) -> Histogram:
    occupied, where = np.unique(bins, return_inverse=True)
    added = np.zeros(occupied.size, np.int64)
    np.add.at(added, where, counts)
    return Histogram(bins=occupied.astype(np.int32), counts=added)


EMPTY = Histogram(bins=np.zeros(0, np.int32), counts=np.zeros(0, np.int64))
"""The histogram of no value."""
