"""Images whose answer changed with quantization, and classes that lost more than chance explains."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quantize.evaluation.evaluation import Evaluation, aligned
from quantize.evaluation.paired import mcnemar_exact_drop
from quantize.evaluation.topk import certain
from quantize.files import write_text
from quantize.quoting import csv_cell

Answer = int | tuple[int, ...]
"""A class, or the labels of an image."""
Change = Literal["lost", "gained", "still wrong", "still right", "unknown"]


@dataclass(frozen=True)
class Flip:
    """One image that the two models answer differently, or on which one of them ties and the other does not.

    Attributes:
        id: The image.
        label: Its true class; None without labels.
        baseline_prediction: The baseline's first class with the highest score.
        candidate_prediction: The candidate's.
        baseline_margin: The baseline's highest score minus the next class's, in the model's unit.
        candidate_margin: The candidate's.
        baseline_tied: How many classes share the baseline's highest score (1: no tie).
        candidate_tied: The same for the candidate.
        effect: What it does to top-1, ties as wrong; ``unknown`` without labels.
    """

    id: str
    label: Answer | None
    baseline_prediction: Answer
    candidate_prediction: Answer
    baseline_margin: float
    candidate_margin: float
    baseline_tied: int
    candidate_tied: int
    effect: Change


def flips(baseline: Evaluation, candidate: Evaluation) -> tuple[Flip, ...]:
    """Return the flipped images, those that the baseline was surest of first.

    Raises:
        DataError: The images or labels differ.
    """
    candidate = aligned(baseline, candidate)
    before, after = baseline.by_class, candidate.by_class
    labels = before.labels
    right = (certain(before, 1), certain(after, 1)) if labels is not None else None
    changed = (before.prediction != after.prediction) | (before.tied_top != after.tied_top)
    changed_images = [
        Flip(
            id=before.ids[i],
            label=None if labels is None else int(labels[i]),
            baseline_prediction=int(before.prediction[i]),
            candidate_prediction=int(after.prediction[i]),
            baseline_margin=float(before.margin[i]),
            candidate_margin=float(after.margin[i]),
            baseline_tied=int(before.tied_top[i]),
            candidate_tied=int(after.tied_top[i]),
            effect="unknown" if right is None else _change_of(bool(right[0][i]), bool(right[1][i])),
        )
        for i in changed.nonzero()[0]
    ]
    return tuple(sorted(changed_images, key=lambda flip: (-flip.baseline_margin, flip.id)))


def write_flips(path: Path, flipped: Sequence[Flip], names: Sequence[str] | None = None) -> None:
    """Write the flips as CSV, a line an image.

    Args:
        path: The file, written in one step.
        flipped: The images, see ``flips``.
        names: Names of the classes in label order, added to every label and prediction.

    No cell is a formula: see ``csv_cell``.
    """

    def named(label: Answer | None) -> str:
        if label is None:
            return ""
        if isinstance(label, tuple):
            return "; ".join(named(one) for one in label)
        return f"{label} {names[label]}" if names is not None else str(label)

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("image", "label", "baseline", "candidate", "baseline_margin", "candidate_margin")
    writer.writerow([*columns, "baseline_tied", "candidate_tied", "effect"])
    for flip in flipped:
        writer.writerow(
            [
                csv_cell(flip.id),
                csv_cell(named(flip.label)),
                csv_cell(named(flip.baseline_prediction)),
                csv_cell(named(flip.candidate_prediction)),
                f"{flip.baseline_margin:.6g}",
                f"{flip.candidate_margin:.6g}",
                flip.baseline_tied,
                flip.candidate_tied,
                flip.effect,
            ]
        )
    write_text(path, text.getvalue())


def _change_of(before: bool, after: bool) -> Change:  # noqa: FBT001 - two outcomes, nothing is switched
    if before != after:
        return "lost" if before else "gained"
    return "still right" if before else "still wrong"


@dataclass(frozen=True)
class ClassDrop:
    """One class's top-k answers under both models, ties as wrong.

    Attributes:
        label: The class.
        n: Its images.
        lost: Images that only the baseline gets right.
        gained: Images that only the candidate gets right.
        p_value: One-sided exact McNemar test of "no drop in this class".
        adjusted_p_value: The same, corrected for the number of classes.
    """

    label: int
    n: int
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
    labels, _, _ = baseline.by_class.require_labels()
    before, after = certain(baseline.by_class, k), certain(candidate.by_class, k)
    present, of_class = np.unique(labels, return_inverse=True)

    def per_class(images: NDArray[np.bool_]) -> list[int]:
        return [int(count) for count in np.bincount(of_class[images], minlength=len(present))]

    n, lost, gained = (per_class(images) for images in (np.ones_like(before), before & ~after, after & ~before))
    return class_drops_of([int(label) for label in present], n, lost, gained)


def class_drops_of(
    present: Sequence[int], n: Sequence[int], lost: Sequence[int], gained: Sequence[int]
) -> tuple[ClassDrop, ...]:
    """Return the drops of some classes, the surest first, from each one's images and those lost and gained."""
    if not present:
        return ()
    p_values = [mcnemar_exact_drop(b, c) for b, c in zip(lost, gained, strict=True)]
    adjusted = stats.false_discovery_control(p_values, method="bh")
    drops = [
        ClassDrop(
            label=label,
            n=n[i],
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
