"""Classes that quantization hurts more than chance explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quantize.evaluation.evaluation import Evaluation, aligned
from quantize.evaluation.mcnemar import mcnemar_exact_drop
from quantize.evaluation.topk import certain


@dataclass(frozen=True)
class ClassDrop:
    """One class's top-k answers under both models, ties as wrong.

    Attributes:
        label: The class.
        n: Its images.
        baseline_right: Images that the baseline gets right.
        candidate_right: Images that the candidate gets right.
        lost: Images that only the baseline gets right.
        gained: Images that only the candidate gets right.
        p_value: One-sided exact McNemar test of "no drop in this class".
        adjusted_p_value: The same, corrected for the number of classes.
    """

    label: int
    n: int
    baseline_right: int
    candidate_right: int
    lost: int
    gained: int
    p_value: float
    adjusted_p_value: float

    @property
    def drop(self) -> float:
        """Return the drop in this class as a fraction of its images."""
        return (self.lost - self.gained) / self.n


def class_drops(baseline: Evaluation, candidate: Evaluation, *, k: int = 1) -> tuple[ClassDrop, ...]:
    """Return every class that has images, the surest drop first.

    The correction is Benjamini and Hochberg's (1995; scipy): of the classes listed at an adjusted 5 %, at most 5 % are
    there by chance, in expectation.

    Raises:
        DataError: The images or labels differ, or there are no labels.
    """
    candidate = aligned(baseline, candidate)
    labels, _, _ = baseline.outcomes.require_labels()
    before, after = certain(baseline.outcomes, k), certain(candidate.outcomes, k)
    present, of_class = np.unique(labels, return_inverse=True)

    def per_class(images: NDArray[np.bool_]) -> list[int]:
        return [int(count) for count in np.bincount(of_class[images], minlength=len(present))]

    n, right_before, right_after = per_class(np.ones_like(before)), per_class(before), per_class(after)
    lost, gained = per_class(before & ~after), per_class(after & ~before)
    p_values = [mcnemar_exact_drop(b, c) for b, c in zip(lost, gained, strict=True)]
    adjusted = stats.false_discovery_control(p_values, method="bh")
    drops = [
        ClassDrop(
            label=int(label),
            n=n[i],
            baseline_right=right_before[i],
            candidate_right=right_after[i],
            lost=lost[i],
            gained=gained[i],
            p_value=p_values[i],
            adjusted_p_value=float(adjusted[i]),
        )
        for i, label in enumerate(present)
    ]
    return tuple(sorted(drops, key=lambda drop: (drop.p_value, -drop.drop, drop.label)))


def significant_drops(drops: tuple[ClassDrop, ...], level: float = 0.05) -> tuple[ClassDrop, ...]:
    """Return the classes whose drop is significant after correction for the number of classes."""
    return tuple(drop for drop in drops if drop.adjusted_p_value <= level)
