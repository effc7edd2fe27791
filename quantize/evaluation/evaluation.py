"""One model's outcomes on one set of images: what every accuracy figure is derived from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantize.data.crops.crops import Skipped
from quantize.errors import DataError
from quantize.evaluation.fidelity import Fidelity
from quantize.evaluation.outcomes import Outcomes
from quantize.evaluation.topk import TopK, top_k


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
    """

    graph_sha256: str
    classes: int
    outcomes: Outcomes
    skipped: tuple[Skipped, ...]
    fidelity: Fidelity | None
    constant_output: bool

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
        return top_k(self.outcomes, k)

    @property
    def tied_count(self) -> int:
        """Return the number of images on which two or more classes share the highest score."""
        return int((self.outcomes.tied_top > 1).sum())

    @property
    def tied_share(self) -> float:
        """Return the share of images on which two or more classes share the highest score."""
        return self.tied_count / self.n

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Evaluation:
        """Return the evaluation on the images at ``indices``, in that order."""
        at = np.asarray(indices, dtype=np.int64)
        return Evaluation(
            graph_sha256=self.graph_sha256,
            classes=self.classes,
            outcomes=self.outcomes.take(at),
            skipped=self.skipped,
            fidelity=None if self.fidelity is None else self.fidelity.take(at),
            constant_output=self.constant_output,
        )


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


def _labels_or_empty(evaluation: Evaluation) -> NDArray[np.int64]:
    labels = evaluation.outcomes.labels
    return np.empty(0, np.int64) if labels is None else labels
