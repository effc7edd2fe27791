"""Images on which quantization changed the answer."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quantize.evaluation.evaluation import Evaluation, aligned
from quantize.evaluation.topk import certain
from quantize.files import write_text

Effect = Literal["lost", "gained", "still wrong", "still right", "unknown"]


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
    label: int | None
    baseline_prediction: int
    candidate_prediction: int
    baseline_margin: float
    candidate_margin: float
    baseline_tied: int
    candidate_tied: int
    effect: Effect


def flips(baseline: Evaluation, candidate: Evaluation) -> tuple[Flip, ...]:
    """Return the flipped images, those that the baseline was surest of first.

    Raises:
        DataError: The images or labels differ.
    """
    candidate = aligned(baseline, candidate)
    before, after = baseline.outcomes, candidate.outcomes
    labels = before.labels
    right = (certain(before, 1), certain(after, 1)) if labels is not None else None
    changed = (before.prediction != after.prediction) | (before.tied_top != after.tied_top)
    found = [
        Flip(
            id=before.ids[i],
            label=None if labels is None else int(labels[i]),
            baseline_prediction=int(before.prediction[i]),
            candidate_prediction=int(after.prediction[i]),
            baseline_margin=float(before.margin[i]),
            candidate_margin=float(after.margin[i]),
            baseline_tied=int(before.tied_top[i]),
            candidate_tied=int(after.tied_top[i]),
            effect="unknown" if right is None else _effect(bool(right[0][i]), bool(right[1][i])),
        )
        for i in changed.nonzero()[0]
    ]
    return tuple(sorted(found, key=lambda flip: (-flip.baseline_margin, flip.id)))


def write_flips(path: Path, found: Sequence[Flip], names: Sequence[str] | None = None) -> None:
    """Write the flips as CSV, a line an image.

    Args:
        path: The file, written in one step.
        found: The flips.
        names: Names of the classes in label order, added to every label and prediction.
    """

    def named(label: int | None) -> str:
        if label is None:
            return ""
        return f"{label} {names[label]}" if names is not None else str(label)

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("image", "label", "baseline", "candidate", "baseline_margin", "candidate_margin")
    writer.writerow([*columns, "baseline_tied", "candidate_tied", "effect"])
    for flip in found:
        writer.writerow(
            [
                flip.id,
                named(flip.label),
                named(flip.baseline_prediction),
                named(flip.candidate_prediction),
                f"{flip.baseline_margin:.6g}",
                f"{flip.candidate_margin:.6g}",
                flip.baseline_tied,
                flip.candidate_tied,
                flip.effect,
            ]
        )
    write_text(path, text.getvalue())


def _effect(before: bool, after: bool) -> Effect:  # noqa: FBT001 - two outcomes, nothing is switched
    if before != after:
        return "lost" if before else "gained"
    return "still right" if before else "still wrong"
