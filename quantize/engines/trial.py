"""The results of an engine's search: trials, the placement of their layers, and the outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from quantize.errors import EngineError
from quantize.recipe import EngineName, Recipe

if TYPE_CHECKING:
    from quantize.engines.native.search.latency_table import LatencyTable
    from quantize.engines.placement.placement import Option
    from quantize.models.artifact import ModelArtifact


@dataclass(frozen=True)
class Failure:
    """Why a trial has no result.

    Attributes:
        stage: What was being done, such as ``calibrate``, ``quantize`` or ``evaluate``.
        error: What went wrong, in one or more lines.
    """

    stage: str
    error: str


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried, and what came of it.

    Attributes:
        index: Its place in the order of trials, from 0.
        recipe: What was tried.
        artifact: The candidate, kept whether or not it met the criterion; None if building it failed.
        metric: The criterion's metric, a fraction; None if nothing was measured.
        seconds: Time spent on it: calibrating, quantizing and evaluating.
        failure: The stage and the error, or None.
        repeats: Id of an earlier trial's recipe that gave the same graph, which was not run again; None for a graph of
            its own.
    """

    index: int
    recipe: Recipe
    artifact: ModelArtifact | None
    metric: float | None
    seconds: float
    failure: Failure | None = None
    repeats: str | None = None

    def __post_init__(self) -> None:
        """Refuse a trial that has neither a candidate nor a failure, or a metric that is no number."""
        if (self.artifact is None) == (self.failure is None):
            raise ValueError("a trial has either a candidate or a failure")
        if self.metric is not None and not math.isfinite(self.metric):
            raise ValueError(f"a trial's metric is a number or None, not {self.metric}")


@dataclass(frozen=True)
class PlacedTrial:
    """A trial after it was decided which of its layers compute in int8.

    Attributes:
        trial: The trial, with the recipe and the model of the placement.
        met: Whether that model meets the criterion.
        mode: ``measured``, or ``all-int8``: as the engine decided.
        reason: What was decided and why, in a sentence.
        options: What was looked at, in order; empty where nothing was measured.
        taken: The option of ``options`` that was taken.
    """

    trial: Trial
    met: bool
    mode: Literal["measured", "all-int8"]
    reason: str
    options: tuple[Option, ...] = ()
    taken: Option | None = None


@dataclass(frozen=True)
class CandidateRecord:
    """One candidate of a search that predicts and measures times.

    Attributes:
        recipe_id: What it was built from.
        step: The step of the search that it came from.
        predicted_ns: Its predicted time for one run; None if there was no prediction.
        measured_ns: Its measured time; None if it was not measured.
        speedup: fp32's time over its own; None if it was not measured.
        trial: Index of its trial; None for one that was timed only.
        images: Images that were looked at before its verdict was certain.
        met: Whether it meets the criterion; None if that was not asked.
        pareto: No other candidate is at least as good in both the metric and the speed-up.
    """

    recipe_id: str
    step: str
    predicted_ns: float | None
    measured_ns: float | None
    speedup: float | None
    trial: int | None = None
    images: int = 0
    met: bool | None = None
    pareto: bool = False


@dataclass(frozen=True)
class SearchRecord:
    """How a search went that predicts and measures times.

    Attributes:
        candidates: All that were evaluated or timed, in order.
        compared: (recipe in words, mean KL from fp32 in nats) of recipes that were compared on calibration images.
        seconds: Time by stage.
    """

    candidates: tuple[CandidateRecord, ...]
    compared: tuple[tuple[str, float], ...]
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class SearchOutcome:
    """What a search came to.

    Attributes:
        chosen: The trial that the written models come from, its model built without rewrites: the engine's choice, or
            the best that failed.
        stopped_because: Why the search ended.
        seconds: How long it took, before an interruption included.
        others: Further trials that met the criterion, in the engine's order of preference.
        may_go_on: It ended because a trial met the criterion, and can continue without that one.
        peak_bytes: Largest resident set of the process that searched; None if the system does not tell.
        record: How it went; None if the engine neither predicts nor measures times.
        latencies: The times that decided; None if none did.
    """

    chosen: Trial
    stopped_because: str
    seconds: float
    others: tuple[Trial, ...] = ()
    may_go_on: bool = False
    peak_bytes: int | None = None
    record: SearchRecord | None = None
    latencies: LatencyTable | None = None


def trial_of(trials: Sequence[Trial], recipe_id: str | None) -> Trial:
    """Return the trial of a recipe, or the built trial with the best metric if the recipe has none.

    Raises:
        EngineError: No trial gave a model.
    """
    built = [trial for trial in trials if trial.artifact is not None]
    if not built:
        failures = [trial.failure for trial in trials if trial.failure]
        others = [name for name in get_args(EngineName) if name not in {trial.recipe.engine for trial in trials}]
        raise EngineError(
            "no trial gave a model",
            found="; ".join(f"{failure.stage}: {failure.error}" for failure in failures[:3]) or "no trial at all",
            advice=f"try another engine (--engine {' or '.join(others)}), and report it with the model"
            if failures
            else "give the search more time (--timeout, --max_trials)",
        )
    for trial in built:
        if trial.recipe.id == recipe_id:
            return trial
    return max(built, key=lambda trial: trial.metric if trial.metric is not None else 0.0)
