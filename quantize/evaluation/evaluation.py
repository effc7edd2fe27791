"""A model's outcomes on a set of images, from which every accuracy figure is derived."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quantize.data.crops.crops import Skipped
from quantize.errors import DataError
from quantize.evaluation.average_precision import is_near_chance, mean_average_precision
from quantize.evaluation.fidelity import Fidelity
from quantize.evaluation.label_outcomes import LabelOutcomes
from quantize.evaluation.outcomes import Outcomes, take
from quantize.evaluation.topk import TopK, top_k
from quantize.models.contract import Task


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one model answered on N > 0 images; counts and per-image values, from which rates are derived.

    Attributes:
        graph_sha256: Identity of the model that ran.
        classes: Number of classes it scores.
        outcomes: Per-image outcomes.
        skipped: Images left out because they could not be read, with the reasons.
        fidelity: Nearness to the fp32 model's scores, per image; None for the fp32 model itself.
        constant_output: Every image got exactly the same scores: the model does not look at its input.
        task: What the model says of an image.
    """

    graph_sha256: str
    classes: int
    outcomes: Outcomes | LabelOutcomes
    skipped: tuple[Skipped, ...]
    fidelity: Fidelity | None
    constant_output: bool
    task: Task = "one class"

    def __post_init__(self) -> None:
        if self.fidelity is not None and len(self.fidelity) != len(self.outcomes):
            raise ValueError("fidelity and outcomes of different images")

    @property
    def n(self) -> int:
        """Return the number of images."""
        return len(self.outcomes)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the images."""
        return self.outcomes.ids

    @property
    def labelled(self) -> bool:
        """Return whether accuracy is known."""
        return self.outcomes.labelled

    def top_k(self, k: int) -> TopK:
        """Return the top-k counts.

        Raises:
            DataError: There are no labels.
        """
        return top_k(self.by_class, k)

    @property
    def by_class(self) -> Outcomes:
        """Return the outcomes of a model that gives an image one class, yes and no among them.

        Raises:
            TypeError: It gives several labels.
        """
        if not isinstance(self.outcomes, Outcomes):
            raise TypeError("a model of several labels has no class that is right")
        return self.outcomes

    @property
    def accuracy(self) -> float:
        """Return the figure that a drop is taken of: top-1 in expectation, or the mean average precision of labels.

        Raises:
            DataError: There are no labels.
        """
        if isinstance(self.outcomes, LabelOutcomes):
            return mean_average_precision(self.outcomes)
        return self.top_k(1).expected

    @property
    def metric(self) -> Literal["top1", "map"]:
        """Return what ``accuracy`` is called in a criterion."""
        return "map" if isinstance(self.outcomes, LabelOutcomes) else "top1"

    @property
    def tied_count(self) -> int:
        """Return the number of images with a tie: two highest scores, or a label at exactly the threshold."""
        return int(self.outcomes.tied.sum())

    @property
    def tied_share(self) -> float:
        """Return the share of images with a tie."""
        return self.tied_count / self.n

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Evaluation:
        """Return the evaluation on the images at ``indices``, in that order."""
        fidelity = None if self.fidelity is None else take(self.fidelity, indices)
        return replace(self, outcomes=take(self.outcomes, indices), fidelity=fidelity)


def aligned(baseline: Evaluation, candidate: Evaluation) -> Evaluation:
    """Return ``candidate`` with its images in the baseline's order.

    Raises:
        DataError: They were not evaluated on the same images with the same labels.
    """
    if baseline.ids != candidate.ids:
        missing = set(baseline.ids) ^ set(candidate.ids)
        if missing:
            raise DataError(
                "two evaluations on different images cannot be compared",
                found=f"{len(missing)} images in one of them only, such as {', '.join(sorted(missing)[:3])}",
                expected="the same images in both",
                advice="evaluate both models on the same images",
            )
        at = {name: index for index, name in enumerate(candidate.ids)}
        candidate = candidate.take([at[name] for name in baseline.ids])
    if baseline.labelled != candidate.labelled or not np.array_equal(
        _labels_or_empty(baseline), _labels_or_empty(candidate)
    ):
        raise DataError(
            "two evaluations with different labels cannot be compared",
            expected="the same label for every image",
            advice="evaluate both models with the same label file",
        )
    return candidate


def _labels_or_empty(evaluation: Evaluation) -> NDArray[np.generic]:
    labels = evaluation.outcomes.labels
    return np.empty(0, np.int64) if labels is None else labels


# Wrong preprocessing does not bring accuracy down to guessing: 0.2 % of 1,000 classes, where guessing gives 0.1 %,
# and with 50,000 images even 0.2 % is significantly more than 0.1 %. So the bar is a classifier that guesses on 95 %
# of the images and knows the other 5 %. No network is published that bad; sensible preprocessing, however wrong in
# detail, stays far above it (42.7 % with red and blue swapped).
_KNOWN_SHARE = 0.05
_LEVEL = 0.05  # one-sided


def near_chance(evaluation: Evaluation, classes: int | None = None) -> bool:
    """Return whether accuracy is not significantly above what guessing on 95 % of the images gives.

    An exact binomial test of the tie-expected count, rounded down, at 5 % one-sided; so with 20 images of 1,000
    classes four right answers are enough to be believed.

    Args:
        evaluation: With labels.
        classes: How many classes guessing would choose from; None takes the model's.

    Raises:
        DataError: There are no labels.
    """
    if isinstance(evaluation.outcomes, LabelOutcomes):
        return is_near_chance(evaluation.outcomes)
    counts = evaluation.top_k(1)
    p_value = stats.binomtest(
        math.floor(counts.expected_count), counts.n, believable_rate(classes or evaluation.classes), "greater"
    ).pvalue
    return bool(p_value > _LEVEL)


def believable_rate(classes: int) -> float:
    """Return the accuracy of guessing among ``classes`` on 95 % of the images and knowing the rest."""
    chance = 1 / classes
    return chance + _KNOWN_SHARE * (1 - chance)
