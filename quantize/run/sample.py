"""Judge candidates on a share of the images where that is enough: where images that no trial sees certify the choice.

What a candidate loses is the difference from fp32 on the same images, and fp32 is known on all of them. So its metric
is estimated as fp32's on all images less that difference: what fp32 happens to get right in a sample cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from quantize.criterion import Criterion
from quantize.engines.image_budget import SAMPLE
from quantize.engines.native.search.sequential_test import race_order
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.outcomes import concatenate
from quantize.models.artifact import ModelArtifact
from quantize.run.evaluator import Evaluator, metric_of

_LARGE = 4
"""Graphs that are evaluated on a whole sample; those after them on a quarter of it."""


class Selection(Protocol):
    """What candidates, and the steps from a candidate to its files, are judged on."""

    def metric(self, model: ModelArtifact, criterion: Criterion) -> float:
        """Return the criterion's metric of a model on all images that trials may see, measured or estimated."""
        ...

    def evaluate(self, model: ModelArtifact) -> Evaluation:
        """Return the evaluation of a model on the images that it is judged on."""
        ...

    def evaluate_some(self, model: ModelArtifact, positions: Sequence[int]) -> Evaluation:
        """Return the evaluation of a model on the images at some positions of all, in that order."""
        ...

    def known(self, graph_sha256: str) -> Evaluation | None:
        """Return the evaluation of a graph, as far as it was evaluated; None if it was not."""
        ...


class Sample:
    """A share of the images, drawn once: 4,096 of them, fewer after the first graphs."""

    def __init__(self, whole: Evaluator, fp32: ModelArtifact, seed: int) -> None:
        """Set up.

        Args:
            whole: Evaluates on all images; the baseline was evaluated.
            fp32: The baseline.
            seed: Of the draw.
        """
        self._whole, self._fp32 = whole, fp32
        order = race_order(len(whole.crops), seed)
        self._parts = [whole.part(np.sort(order[:count]).tolist()) for count in (SAMPLE, SAMPLE // 4)]
        self._part_of: dict[str, Evaluator] = {}
        self._raced: dict[str, Evaluation] = {}

    def metric(self, model: ModelArtifact, criterion: Criterion) -> float:
        """Return the estimate of the criterion's metric on all images, a fraction."""
        part, fp32 = self._of(model), self._fp32
        own = metric_of(part.evaluate(model), criterion)
        if criterion.metric == "agreement":
            return own
        every, same = (metric_of(some.evaluate_baseline(fp32), criterion) for some in (self._whole, part))
        return every - (same - own)

    def evaluate(self, model: ModelArtifact) -> Evaluation:
        """Return the evaluation of a model on its share; the same graph runs once."""
        return self._of(model).evaluate(model)

    def evaluate_some(self, model: ModelArtifact, positions: Sequence[int]) -> Evaluation:
        """Return the evaluation of a model on the images at some positions of all; ``known`` tells it too."""
        some, before = self._whole.evaluate_some(model, positions), self._raced.get(model.graph_sha256)
        self._raced[model.graph_sha256] = some if before is None else _joined(before, some)
        return some

    def known(self, graph_sha256: str) -> Evaluation | None:
        """Return the evaluation of a graph on the images that it was judged on; None if it was not."""
        part = self._part_of.get(graph_sha256)
        return self._raced.get(graph_sha256) if part is None else part.known(graph_sha256)

    def _of(self, model: ModelArtifact) -> Evaluator:
        large, small = self._parts
        return self._part_of.setdefault(model.graph_sha256, large if len(self._part_of) < _LARGE else small)


def _joined(first: Evaluation, second: Evaluation) -> Evaluation:
    assert first.fidelity is not None
    assert second.fidelity is not None
    return replace(
        first,
        outcomes=concatenate([first.outcomes, second.outcomes]),
        fidelity=concatenate([first.fidelity, second.fidelity]),
    )


def selection_of(whole: Evaluator, fp32: ModelArtifact, *, certified: bool, seed: int) -> Selection:
    """Return what candidates are judged on: all images that trials may see, or a share where others stand behind it.

    Args:
        whole: Evaluates on all images that trials may see; the baseline was evaluated.
        fp32: The baseline.
        certified: Whether there are images that no trial sees.
        seed: Of the draw.
    """
    if certified and len(whole.crops) > SAMPLE:
        return Sample(whole, fp32, seed)
    return whole
