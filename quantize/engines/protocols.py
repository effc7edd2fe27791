"""What every quantization engine takes and gives: goals, trials, builders and tuners."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from quantize.criterion import Criterion
from quantize.recipe import Recipe

if TYPE_CHECKING:
    from quantize.data.batch import Batch
    from quantize.models.artifact import ModelArtifact

EvaluateCallback = Callable[["ModelArtifact"], float]
"""Returns the criterion's metric of a candidate on the evaluation set, a fraction of 1."""


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
        artifact: The candidate, kept whether or not it met the criterion; None where building it failed.
        metric: The criterion's metric, a fraction; None where nothing was measured.
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
        self, model: ModelArtifact, criterion: Criterion, evaluate: EvaluateCallback, batches: Iterable[Batch]
    ) -> Iterator[Trial]:
        """Yield every trial as it is finished.

        Args:
            model: The prepared fp32 model.
            criterion: What is good enough.
            evaluate: Called with each candidate.
            batches: The calibration set.
        """
        ...
