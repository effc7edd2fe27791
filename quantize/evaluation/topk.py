"""Top-k accuracy in which ties count as undecided."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantize.evaluation.outcomes import Floats, Outcomes


@dataclass(frozen=True)
class TopK:
    """Counts of right answers among the k highest scores on n > 0 images; rates are derived.

    Attributes:
        k: How many answers count.
        n: Number of images.
        expected_count: Right answers if ties fall at random: the sum of the images' chances.
        pessimistic_count: Images that are right however ties fall.
        optimistic_count: Images that are right if every tie falls well.
    """

    k: int
    n: int
    expected_count: float
    pessimistic_count: int
    optimistic_count: int

    def __post_init__(self) -> None:
        if self.n <= 0:
            raise ValueError("accuracy on no image")

    @property
    def expected(self) -> float:
        """Return the headline: the accuracy in expectation if ties fall at random."""
        return self.expected_count / self.n

    @property
    def pessimistic(self) -> float:
        """Return the accuracy if ties count as wrong."""
        return self.pessimistic_count / self.n

    @property
    def optimistic(self) -> float:
        """Return the accuracy if ties count as right."""
        return self.optimistic_count / self.n


def top_k(outcomes: Outcomes, k: int) -> TopK:
    """Return the top-k counts.

    Raises:
        DataError: There are no labels.
    """
    _, rank, _ = outcomes.require_labels()
    return TopK(
        k=k,
        n=len(outcomes),
        expected_count=math.fsum(chances(outcomes, k)),  # exactly rounded, so the images' order cannot show
        pessimistic_count=int(certain(outcomes, k).sum()),
        optimistic_count=int((rank < k).sum()),
    )


def chances(outcomes: Outcomes, k: int) -> Floats:
    """Return float64 (N,), each image's chance of a right top-k answer if ties fall at random.

    The true class shares its score with ``ties`` others and ``k - rank`` places are left for them:
    min(1, (k - rank) / (ties + 1)), and 0 where no place is left.

    Raises:
        DataError: There are no labels.
    """
    _, rank, ties = outcomes.require_labels()
    places: Floats = np.clip(k - rank, 0, ties + 1) / (ties + 1)
    return places


def certain(outcomes: Outcomes, k: int) -> NDArray[np.bool_]:
    """Return bool (N,), whether each image's top-k answer is right however ties fall.

    Raises:
        DataError: There are no labels.
    """
    _, rank, ties = outcomes.require_labels()
    sure: NDArray[np.bool_] = rank + ties < k
    return sure
