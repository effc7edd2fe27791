"""What every quantization engine takes and gives: goals, trials, builders and tuners."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from quantize.recipe import Recipe

if TYPE_CHECKING:
    from quantize.data.batch import Batch
    from quantize.models.artifact import ModelArtifact

Metric = Literal["top1", "agreement", "none"]

EvaluateCallback = Callable[["ModelArtifact"], float]
"""Returns the goal's metric of a candidate on the evaluation set, a fraction of 1."""

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Goal:
    """What a candidate has to reach to be accepted.

    Attributes:
        metric: ``top1`` (expected top-1 accuracy), ``agreement`` (share of images with the fp32 model's top-1), or
            ``none`` for graphs whose scores mean nothing: every candidate is accepted and none is evaluated.
        baseline: The fp32 model's value of the metric, a fraction; needed by ``relative`` and ``absolute``.
        relative: Tolerated drop as a fraction of the baseline.
        absolute: Tolerated drop as a fraction of 1 (0.01 is one point).
        minimum: Lowest accepted value, a fraction of 1, whatever the baseline.
    """

    metric: Metric
    baseline: float | None = None
    relative: float | None = None
    absolute: float | None = None
    minimum: float | None = None

    def __post_init__(self) -> None:
        """Refuse a goal that does not say what is good enough.

        Raises:
            ValueError: A drop without a baseline, or a metric without any bound.
        """
        if self.metric == "none":
            return
        if self.baseline is None and (self.relative is not None or self.absolute is not None):
            raise ValueError("a relative or absolute drop needs the baseline that it is taken from")
        if self.floor() is None:
            raise ValueError(f"the goal for {self.metric} has no bound")

    def floor(self) -> float | None:
        """Return the lowest value that passes (all bounds hold together), or None where nothing is measured."""
        if self.metric == "none":
            return None
        bounds = []
        if self.baseline is not None and self.relative is not None:
            bounds.append(self.baseline * (1 - self.relative))
        if self.baseline is not None and self.absolute is not None:
            bounds.append(self.baseline - self.absolute)
        if self.minimum is not None:
            bounds.append(self.minimum)
        return max(bounds, default=None)

    def met(self, value: float | None) -> bool:
        """Return whether a candidate with this value of the metric is good enough.

        Args:
            value: The candidate's metric, a fraction; None only where the goal measures nothing.
        """
        floor = self.floor()
        if floor is None:
            return True
        return value is not None and value >= floor - _ROUNDING


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
        artifact: The candidate, kept whether or not it met the goal; None where building it failed.
        metric: The goal's metric, a fraction; None where nothing was measured.
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


Evidence = TypeVar("Evidence", contravariant=True)


class Builder(Protocol[Evidence]):
    """Builds the model that a recipe describes from ``Evidence``: calibration statistics or batches."""

    def build(self, model: ModelArtifact, recipe: Recipe, evidence: Evidence, /) -> ModelArtifact:
        """Return the quantized model: the same fp32 model, recipe and evidence give the same bytes."""
        ...


class Tuner(Protocol):
    """Chooses recipes itself, and asks how good each candidate is."""

    def tune(
        self, model: ModelArtifact, goal: Goal, evaluate: EvaluateCallback, batches: Iterable[Batch]
    ) -> Iterator[Trial]:
        """Yield every trial as it is finished.

        Args:
            model: The prepared fp32 model.
            goal: What is good enough.
            evaluate: Called with each candidate.
            batches: The calibration set.
        """
        ...
