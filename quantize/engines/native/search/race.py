"""Judge candidates on growing blocks of shared images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from quantize.criterion import Criterion
from quantize.engines.native.search.result import Judgement
from quantize.engines.native.search.sequential_test import decide, race_blocks, race_order
from quantize.evaluation.evaluation import Evaluation
from quantize.models.artifact import ModelArtifact

EvaluateSome = Callable[[ModelArtifact, Sequence[int]], Evaluation]
"""Evaluates a candidate on the images at some positions, in that order."""


def accept(_: ModelArtifact) -> Judgement:
    """Return that a candidate passes, where nothing is measured."""
    return Judgement(metric=None, met=True, images=0, total=0)


class WholeJudge:
    """Evaluates candidates on all images: a mean average precision is no mean over images, which a race needs."""

    def __init__(self, criterion: Criterion, evaluate: Callable[[ModelArtifact], float], images: int) -> None:
        """Set up.

        Args:
            criterion: What passes.
            evaluate: Returns a candidate's metric on all images.
            images: How many these are.
        """
        self._criterion, self._evaluate, self._images = criterion, evaluate, images

    def __call__(self, candidate: ModelArtifact) -> Judgement:
        """Return how a candidate does."""
        metric = self._evaluate(candidate)
        return Judgement(metric=metric, met=self._criterion.met(metric), images=self._images, total=self._images)


class RaceJudge:
    """Evaluates candidates until their verdict is certain, or the images are used up."""

    def __init__(
        self,
        criterion: Criterion,
        baseline: Evaluation,
        evaluate: EvaluateSome,
        *,
        seed: int = 0,
        confidence: float = 0.95,
        first_block: int = 64,
    ) -> None:
        """Set up.

        Args:
            criterion: What passes; its metric is ``top1`` or ``agreement``.
            baseline: The fp32 model on all images of the race.
            evaluate: Evaluates a candidate on images by their position in ``baseline``.
            seed: Of the order that all candidates share.
            confidence: Of a rejection before the end.
            first_block: Images of the first block; every further one doubles what was seen.

        Raises:
            ValueError: The criterion measures nothing.
        """
        floor = criterion.floor()
        if floor is None:
            raise ValueError("a race needs a criterion that measures something")
        self._floor, self._is_top1, self._evaluate = floor, criterion.metric == "top1", evaluate
        self._order = race_order(baseline.n, seed)
        self._blocks = race_blocks(baseline.n, first=first_block)
        self._confidence = confidence
        self._baseline = _chances(baseline)[self._order] if self._is_top1 else np.ones(baseline.n)

    def __call__(self, candidate: ModelArtifact) -> Judgement:
        """Return how a candidate does."""
        seen = np.zeros(0)
        for block in self._blocks:
            evaluation = self._evaluate(candidate, self._order[block].tolist())
            seen = np.concatenate([seen, self._values(evaluation)])
            state = decide(self._baseline, seen, self._floor, confidence=self._confidence)
            if state.outcome != "continue":
                break
        passes, total = state.outcome == "pass", len(self._order)
        return Judgement(metric=float(seen.mean()), met=passes, images=len(seen), total=total)

    def _values(self, evaluation: Evaluation) -> npt.NDArray[np.float64]:
        if self._is_top1:
            return _chances(evaluation)
        assert evaluation.fidelity is not None
        return evaluation.fidelity.agreements


def _chances(evaluation: Evaluation) -> npt.NDArray[np.float64]:
    """Return every image's chance of a right top-1 answer if ties fall at random."""
    rank, ties = evaluation.by_class.rank, evaluation.by_class.ties
    if rank is None or ties is None:
        raise ValueError("top-1 needs labels")
    return np.where(rank == 0, 1.0 / (1.0 + ties), 0.0)
