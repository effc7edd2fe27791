"""Judge candidates on growing blocks of shared images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from quantize.criterion import Criterion, reaches
from quantize.engines.image_budget import ImageBudget
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
    """Evaluates candidates until their verdict is certain, or the images are used up.

    With a budget a candidate may pass with confidence too, and where its share of the images is used up, the estimate
    decides: fp32's metric on all images less the drop on those that were seen. Images that no trial sees certify it.
    """

    def __init__(
        self,
        criterion: Criterion,
        baseline: Evaluation,
        evaluate: EvaluateSome,
        *,
        seed: int = 0,
        confidence: float = 0.95,
        first_block: int = 64,
        growth: float = 2.0,
        budget: ImageBudget | None = None,
    ) -> None:
        """Set up.

        Args:
            criterion: What passes; its metric is ``top1`` or ``agreement``.
            baseline: The fp32 model on all images of the race.
            evaluate: Evaluates a candidate on images by their position in ``baseline``.
            seed: Of the order that all candidates share.
            confidence: Of a rejection before the end.
            first_block: Images of the first block.
            growth: How often what was seen every further block makes of it.
            budget: How many images a candidate may take; None: all of them.

        Raises:
            ValueError: The criterion measures nothing.
        """
        floor = criterion.floor()
        if floor is None:
            raise ValueError("a race needs a criterion that measures something")
        self._floor, self._is_top1, self._evaluate = floor, criterion.metric == "top1", evaluate
        self._order = race_order(baseline.n, seed)
        self._blocks = race_blocks(baseline.n, first=first_block, growth=growth)
        self._confidence, self._budget = confidence, budget
        self._baseline = _chances(baseline)[self._order] if self._is_top1 else np.ones(baseline.n)

    def __call__(self, candidate: ModelArtifact) -> Judgement:
        """Return how a candidate does."""
        budget, total = self._budget, len(self._order)
        most = total if budget is None else min(total, budget.allowed(candidate.graph_sha256))
        seen = np.zeros(0)
        for block in self._blocks:
            part = slice(block.start, min(block.stop, most))
            evaluation = self._evaluate(candidate, self._order[part].tolist())
            seen = np.concatenate([seen, self._values(evaluation)])
            state = decide(self._baseline, seen, self._floor, confidence=self._confidence, may_pass=budget is not None)
            if state.outcome != "continue" or len(seen) == most:
                break
        if budget is None:
            return Judgement(metric=float(seen.mean()), met=state.outcome == "pass", images=len(seen), total=total)
        budget.spend(candidate.graph_sha256, len(seen))
        metric = float(self._baseline.mean() + (seen - self._baseline[: len(seen)]).mean())
        met = reaches(metric, self._floor) if state.outcome == "continue" else state.outcome == "pass"
        return Judgement(metric=metric, met=met, images=len(seen), total=total)

    def _values(self, evaluation: Evaluation) -> npt.NDArray[np.float64]:
        if self._is_top1:
            return _chances(evaluation)
        assert evaluation.fidelity is not None
        return evaluation.fidelity.agreements


def race_judge(
    criterion: Criterion, baseline: Evaluation, evaluate: EvaluateSome, *, seed: int, budget: ImageBudget | None
) -> RaceJudge:
    """Return the judge of a run's candidates; arguments as for ``RaceJudge``."""
    if budget is None:
        return RaceJudge(criterion, baseline, evaluate, seed=seed)
    # Each block opens a session anew, and takes a part of the images that could have been saved.
    return RaceJudge(criterion, baseline, evaluate, seed=seed, budget=budget, first_block=256, growth=1.5)


def _chances(evaluation: Evaluation) -> npt.NDArray[np.float64]:
    """Return every image's chance of a right top-1 answer if ties fall at random."""
    rank, ties = evaluation.by_class.rank, evaluation.by_class.ties
    if rank is None or ties is None:
        raise ValueError("top-1 needs labels")
    return np.where(rank == 0, 1.0 / (1.0 + ties), 0.0)
