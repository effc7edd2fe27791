"""Paired bootstrap for metrics that ties make fractional."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from quantize.evaluation.intervals import Interval
from quantize.evaluation.outcomes import Floats, Integers

REPLICATES = 10_000
# Half an image lost and half a gained one are added to what is drawn from. Without them, a few hundred images
# without a discordant one would give an interval of no width (Agresti and Min 2005, Statistics in Medicine
# 24:729-740, do the same for the Wald interval).
_PSEUDO_IMAGES = ((1.0, 0.0), (0.0, 1.0))
_PSEUDO_COUNT = 0.5
_FEW_RIGHT = 30  # then a resample without any has a chance below e^-30


@dataclass(frozen=True, eq=False)
class OutcomeCells:
    """The distinct pairs (chance of the baseline, chance of the candidate) of a right answer, and their counts.

    Attributes:
        baseline: float64 (cells,), from 0 to 1.
        candidate: float64 (cells,), from 0 to 1.
        counts: int64 (cells,), images with that pair; they sum to n > 0.
    """

    baseline: Floats
    candidate: Floats
    counts: Integers

    @classmethod
    def of(cls, baseline: ArrayLike, candidate: ArrayLike) -> OutcomeCells:
        """Return the cells of two arrays (N,) of the same images."""
        pairs = np.stack([np.asarray(baseline, np.float64), np.asarray(candidate, np.float64)], axis=1)
        if len(pairs) == 0:
            raise ValueError("outcomes of no image")
        cells, counts = np.unique(pairs, axis=0, return_counts=True)
        return cls(cells[:, 0], cells[:, 1], counts.astype(np.int64))

    @property
    def n(self) -> int:
        """Return the number of images."""
        return int(self.counts.sum())


def bootstrap_drop(cells: OutcomeCells, *, confidence: float, seed: int, replicates: int = REPLICATES) -> Interval:
    """Return the percentile interval of the drop in expected accuracy, baseline minus candidate, as a fraction."""
    return _percentiles(cells, lambda baseline, candidate: baseline - candidate, confidence, seed, replicates)


def bootstrap_relative_drop(
    cells: OutcomeCells, *, confidence: float, seed: int, replicates: int = REPLICATES
) -> Interval | None:
    """Return the percentile interval of 1 - candidate / baseline.

    Returns:
        None if a resample may hold no right answer of the baseline: nothing can be relative to that.
    """
    if (cells.baseline * cells.counts).sum() < _FEW_RIGHT:
        return None
    return _percentiles(cells, lambda baseline, candidate: 1 - candidate / baseline, confidence, seed, replicates)


def _percentiles(
    cells: OutcomeCells, figure: Callable[[Floats, Floats], Floats], confidence: float, seed: int, replicates: int
) -> Interval:
    """Draw n images with replacement: a multinomial over the cells is the same and costs nothing at n = 50,000."""
    baseline, candidate = np.array([*zip(cells.baseline, cells.candidate, strict=True), *_PSEUDO_IMAGES]).T
    weights = np.append(cells.counts, [_PSEUDO_COUNT, _PSEUDO_COUNT])
    drawn = np.random.default_rng(seed).multinomial(cells.n, weights / weights.sum(), size=replicates)
    # a discrete distribution: the quantile is a value that occurs, never one between two
    figures = figure(drawn @ baseline / cells.n, drawn @ candidate / cells.n)
    tail = (1 - confidence) / 2
    low, high = np.quantile(figures, [tail, 1 - tail], method="inverted_cdf")
    return Interval(low=float(low), high=float(high), confidence=confidence)
