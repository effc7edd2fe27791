"""Stop evaluating a candidate as soon as the outcome is decided.

A race is run on one finite set of images in one random order that all candidates share. At its end the point estimate
over all images decides. Before that, a candidate leaves

* for certain, when the images that remain cannot change that verdict, whatever it answers on them; or
* rejected with confidence, when a test that stays valid after every image refuses "all images together will pass".

The test is the capital of a gambler against that hypothesis under sampling without replacement (Waudby-Smith and
Ramdas 2020, arXiv:2010.09686, section 5; by Ville's inequality it ever reaches 1 / (1 - confidence) with probability
at most 1 - confidence if the hypothesis is true). A candidate is passed by the same test of "all images together will
fail" only where that is asked for: where images that no trial sees certify what is chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quantize.criterion import ROUNDING, reaches

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Shares of the largest allowed stake. Small ones win against small excess drops, large ones against broken models;
# the capital is split evenly, which costs a factor of six at most against the best of them alone.
_STAKES = np.array([0.03, 0.07, 0.15, 0.3, 0.6, 0.9])


@dataclass(frozen=True)
class RaceState:
    """The state of a candidate in a race.

    Attributes:
        outcome: ``pass``: it meets the floor over all images, for certain or, where asked, with confidence. ``reject``:
            it does not, for certain or with confidence. ``continue``: it needs more images.
        certain: The remaining images cannot change the verdict.
        seen: Images evaluated so far.
        total: Images of the race.
        lowest: The mean over all images if it gets none of the remaining ones right, a fraction.
        highest: The mean over all images if it gets all of the remaining ones right, a fraction.
        log_capital: Natural logarithm of the largest capital so far of the gambler against "it will pass", who began
            with 1; None once the verdict is certain.
    """

    outcome: Literal["pass", "reject", "continue"]
    certain: bool
    seen: int
    total: int
    lowest: float
    highest: float
    log_capital: float | None


def decide(
    baseline: Floats, candidate: Floats, floor: float, *, confidence: float = 0.95, may_pass: bool = False
) -> RaceState:
    """Return the state of a candidate after the first images of a race.

    The answer depends on the images seen, not on the blocks they came in.

    Args:
        baseline: float64 (N,), from 0 to 1: the fp32 model's chance of a right answer on every image, in the race's
            order (for agreement: ones).
        candidate: float64 (t,), t <= N: the candidate's on the first t of them.
        floor: The lowest mean over all N images that passes.
        confidence: Of a rejection: a candidate that would pass is rejected at most with probability 1 - confidence.
        may_pass: Whether a candidate is passed with that confidence too, rather than for certain only.

    Raises:
        ValueError: No image in the race, more seen than there are, or a confidence outside 0 … 1.
    """
    total, seen = len(baseline), len(candidate)
    if total == 0 or seen > total:
        raise ValueError(f"{seen} of {total} images")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}")
    right = math.fsum(candidate)
    lowest, highest = right / total, (right + (total - seen)) / total
    if reaches(lowest, floor) or not reaches(highest, floor):
        return RaceState(
            outcome="pass" if reaches(lowest, floor) else "reject",
            certain=True,
            seen=seen,
            total=total,
            lowest=lowest,
            highest=highest,
            log_capital=None,
        )
    allowed = math.fsum(baseline) - floor * total
    drops, enough = baseline[:seen] - candidate, -math.log(1 - confidence)
    reached = float(log_capital(drops, total, allowed))
    # "It will fail" says that the drops sum to more than is allowed: their negatives to less than its negative.
    passes = may_pass and reached < enough and float(log_capital(-drops, total, -allowed)) >= enough
    return RaceState(
        outcome="reject" if reached >= enough else "pass" if passes else "continue",
        certain=False,
        seen=seen,
        total=total,
        lowest=lowest,
        highest=highest,
        log_capital=reached,
    )


def log_capital(drops: Floats, total: int, allowed: float) -> Floats:
    """Return the logarithm of the largest capital that a gambler against "all drops sum to ``allowed`` at most" had.

    Before image i the mean of the drops still to come is at most m = (allowed - sum so far) / (images left) if the
    hypothesis is true. The gambler stakes a share s of 1 / (1 + m) on a larger drop, and his capital is multiplied by
    1 + s (drop - m) / (1 + m) >= 1 - s: in expectation by at most 1.

    Args:
        drops: float64 (..., t), from -1 to 1: baseline minus candidate on the images seen, along the last axis.
        total: All images, N >= t.
        allowed: Largest sum of drops over all images that the hypothesis allows.

    Returns:
        float64 (...,), natural logarithms, 0 at least; infinite once the hypothesis has become impossible.
    """
    seen = drops.shape[-1]
    if seen == 0:
        return np.zeros(drops.shape[:-1])
    sums = np.cumsum(drops, axis=-1)
    left = total - np.arange(seen)
    mean = (allowed - (sums - drops)) / left
    # a mean of -1 leaves no choice: every image still to come must be gained, and nothing can be staked on it
    free = mean > -1
    gain = np.where(free, (drops - mean) / np.where(free, 1 + mean, 1.0), 0.0)
    capital = np.zeros(drops.shape)
    for stake in _STAKES:
        capital += np.exp(np.cumsum(np.log1p(stake * gain), axis=-1)) / len(_STAKES)
    impossible = (sums - (left - 1) > allowed + ROUNDING * total).any(axis=-1)
    largest: Floats = np.where(impossible, np.inf, np.log(np.maximum(capital.max(axis=-1), 1.0)))
    return largest


def race_order(n: int, seed: int) -> Integers:
    """Return int64 (n,), the random order that all candidates of a race share."""
    return np.random.default_rng(seed).permutation(n).astype(np.int64)


def race_blocks(n: int, *, first: int = 64, growth: float = 2.0) -> tuple[slice, ...]:
    """Return the blocks of a race: consecutive slices of the order, each ending ``growth`` times as far as the last.

    Raises:
        ValueError: No image, no first block, or blocks that do not grow.
    """
    if n < 1 or first < 1 or growth <= 1:
        raise ValueError(f"{n} images, first block {first}, growth {growth}")
    ends = [min(first, n)]
    while ends[-1] < n:
        ends.append(min(n, max(ends[-1] + 1, math.ceil(ends[-1] * growth))))
    return tuple(slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True))
