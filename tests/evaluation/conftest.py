from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.outcomes import Outcomes

Making = Callable[..., Evaluation]


@pytest.fixture(scope="session")
def made() -> Making:
    """Return a maker of evaluations from per-image ranks and ties (0 and 0: right; 1 and 0: wrong)."""

    def make(
        ranks: Sequence[int],
        ties: Sequence[int] | None = None,
        labels: Sequence[int] | None = None,
        classes: int = 1000,
        graph: str = "f" * 64,
        ids: Sequence[str] | None = None,
    ) -> Evaluation:
        rank = np.asarray(ranks, np.int64)
        tied = np.zeros_like(rank) if ties is None else np.asarray(ties, np.int64)
        true = np.zeros_like(rank) if labels is None else np.asarray(labels, np.int64)
        outcomes = Outcomes(
            ids=tuple(f"image-{i:05}" for i in range(len(rank))) if ids is None else tuple(ids),
            labels=true,
            rank=rank,
            ties=tied,
            prediction=np.where(rank == 0, true, (true + 1) % classes),
            tied_top=np.where(rank == 0, tied + 1, 1),
            margin=np.where((rank == 0) & (tied > 0), 0.0, 1.0),
        )
        return Evaluation(graph, classes, outcomes, (), None, constant_output=False)

    return make
