"""Images whose labels changed with quantization, and labels that are decided worse than chance explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantize.evaluation.evaluation import Evaluation, aligned
from quantize.evaluation.flips import Change, ClassDrop, Flip, class_drops_of
from quantize.evaluation.label_outcomes import LabelOutcomes


def label_flips(baseline: Evaluation, candidate: Evaluation) -> tuple[Flip, ...]:
    """Return the images that the two models do not give the same labels, those that the baseline was surest of first.

    A flip's predictions are the labels that a model gives; its margins are the distances of both scores from the
    threshold, of the changed label that the baseline was surest of. An image counts as right with all labels right.

    Raises:
        DataError: The images or labels differ.
    """
    before, after = outcomes_of_labels(baseline), outcomes_of_labels(aligned(baseline, candidate))
    labels = before.labels
    differ = (before.decided != after.decided) | (before.undecided != after.undecided)
    surest = np.where(differ, before.distance, -1.0).argmax(axis=1)
    right = None if labels is None else (before.right.all(axis=1), after.right.all(axis=1))
    found = [
        Flip(
            id=before.ids[row],
            label=None if labels is None else _set(labels[row]),
            baseline_prediction=_set(before.decided[row]),
            candidate_prediction=_set(after.decided[row]),
            baseline_margin=float(before.distance[row, surest[row]]),
            candidate_margin=float(after.distance[row, surest[row]]),
            baseline_tied=1 + int(before.undecided[row].sum()),
            candidate_tied=1 + int(after.undecided[row].sum()),
            effect="unknown" if right is None else _effect(bool(right[0][row]), bool(right[1][row])),
        )
        for row in np.flatnonzero(differ.any(axis=1))
    ]
    return tuple(sorted(found, key=lambda flip: (-flip.baseline_margin, flip.id)))


def label_drops(baseline: Evaluation, candidate: Evaluation) -> tuple[ClassDrop, ...]:
    """Return every label that an image has, the surest drop of right decisions over all images first.

    Raises:
        DataError: The images or labels differ, or there are no labels.
    """
    before, after = outcomes_of_labels(baseline), outcomes_of_labels(aligned(baseline, candidate))
    present = np.flatnonzero(before.require_labels().any(axis=0))
    right, still = before.right[:, present], after.right[:, present]
    lost, gained = (right & ~still).sum(axis=0), (~right & still).sum(axis=0)
    return class_drops_of(present.tolist(), [len(before)] * len(present), lost.tolist(), gained.tolist())


def outcomes_of_labels(evaluation: Evaluation) -> LabelOutcomes:
    """Return the outcomes of a model of several labels.

    Raises:
        TypeError: It gives an image one class.
    """
    if not isinstance(evaluation.outcomes, LabelOutcomes):
        raise TypeError("a model that gives an image one class has no decision on every label")
    return evaluation.outcomes


def _set(row: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(label) for label in np.flatnonzero(row))


def _effect(before: bool, after: bool) -> Change:  # noqa: FBT001 - two outcomes, nothing is switched
    if before != after:
        return "lost" if before else "gained"
    return "still right" if before else "still wrong"
