"""From the accuracy criterion of the configuration to the goal of a search."""

from __future__ import annotations

from quantize.config.tuning import CriterionBlock
from quantize.engines.protocols import Goal
from quantize.evaluation.evaluation import Evaluation


def goal_for(criterion: CriterionBlock, baseline: Evaluation, *, asked: bool) -> Goal:
    """Return what a candidate has to reach.

    With labels, the drop of top-1 decides; without, agreement with the fp32 model's top-1.

    Args:
        criterion: The settings.
        baseline: The fp32 model on the evaluation images.
        asked: False where ``--criterion none`` says that scores mean nothing.
    """
    if not asked:
        return Goal(metric="none")
    if not baseline.labelled:
        return Goal(metric="agreement", minimum=criterion.agreement)
    return Goal(
        metric="top1",
        baseline=baseline.top_k(1).expected,
        relative=criterion.relative,
        absolute=criterion.absolute,
    )
