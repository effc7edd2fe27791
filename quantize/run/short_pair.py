"""A short measurement of one model against another, on a run's images: what decides between candidates."""

from __future__ import annotations

from quantize.measurement.timing.measure import Inputs
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact
from quantize.run.context import Context
from quantize.run.measuring import latency_plan, prepared_inputs


def short_pair(
    context: Context, baseline: ModelArtifact, candidate: ModelArtifact, *, seconds: float, runs: int
) -> tuple[Plan, Inputs]:
    """Return the plan that measures ``candidate`` against ``baseline``, under these names, and what both take.

    Args:
        context: The run; its images are those that both models take.
        baseline: The one to compare with.
        candidate: The other one.
        seconds: When to stop in any case.
        runs: Timed runs of each before it may stop.
    """
    models, images = {"baseline": baseline, "candidate": candidate}, context.images
    plan = latency_plan(
        models,
        context.config.evaluation.performance,
        seed=context.config.tuning.random_seed,
        max_seconds=seconds,
        precision=0.01,
        baseline="baseline",
    ).model_copy(update={"control": False, "iteration": runs})
    return plan, {
        name: prepared_inputs(images.evaluation, images.preprocessing, model) for name, model in models.items()
    }
