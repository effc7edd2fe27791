"""The input of an engine's search: values, and callbacks by which the run evaluates, times and remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from quantize.criterion import Criterion, SpeedCriterion
from quantize.engines.trial import Trial
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

if TYPE_CHECKING:
    from onnx import ModelProto

    from quantize.config.quantization import QuantizationBlock
    from quantize.config.tuning import TuningBlock
    from quantize.data.batches import Batch
    from quantize.engines.image_budget import ImageBudget
    from quantize.engines.native.search.latency_model import ProfiledTimes
    from quantize.engines.native.search.latency_table import LatencyTable
    from quantize.evaluation.evaluation import Evaluation
    from quantize.journal import Journal
    from quantize.measurement.operators.operator_times import Profile
    from quantize.measurement.timing.measurement import Measurement
    from quantize.models.artifact import ModelArtifact
    from quantize.rewrites import RatioInterval

EvaluateCallback = Callable[["ModelArtifact"], float]
"""Returns the criterion's metric of a candidate on the evaluation set, a fraction of 1."""


class MeasurePair(Protocol):
    """Measures two models in alternation on the run's images, as ``baseline`` and ``candidate``."""

    def __call__(
        self,
        baseline: ModelArtifact,
        candidate: ModelArtifact,
        /,
        *,
        seconds: float,
        runs: int,
        beside: float | None = None,
    ) -> Measurement:
        """Return the measurement.

        Args:
            baseline: The model to compare with.
            candidate: The other one.
            seconds: When to stop in any case.
            runs: Timed runs of each before it may stop.
            beside: A speed-up; it may also stop once the candidate's is told apart from it.
        """
        ...


class ProfilePair(Protocol):
    """Profiles two models op by op, as ``baseline`` and ``candidate``."""

    def __call__(self, baseline: ModelArtifact, candidate: ModelArtifact, recipe: Recipe, /, *, runs: int) -> Profile:
        """Return the profile of so many runs of each.

        Args:
            baseline: The fp32 model.
            candidate: The quantized model.
            recipe: What the candidate was built from.
            runs: Profiled runs of each.
        """
        ...


@dataclass(frozen=True)
class Callbacks:
    """What the run does for an engine: evaluating, timing and remembering.

    Attributes:
        evaluate: Returns the criterion's metric of a candidate on the images that trials may see, a fraction: by an
            estimate from a share of them where there is a budget.
        evaluate_some: Returns the evaluation of a candidate on the images at some positions, in that order.
        baseline: Returns the fp32 model's evaluation on all of them.
        measure: Times two models against each other.
        profile: Profiles two models.
        ratio: Returns how much faster the second model is than the first: recorded, journaled or measured once.
        op_times: Returns the time of fp32 and of a recipe's candidate op by op: recorded, journaled or measured once.
        finished: Returns a model as it would be written for the run's target.
        stage: Names the part of the run that the time is spent on.
    """

    evaluate: EvaluateCallback
    evaluate_some: Callable[[ModelArtifact, Sequence[int]], Evaluation]
    baseline: Callable[[], Evaluation]
    measure: MeasurePair
    profile: ProfilePair
    ratio: Callable[[ModelArtifact, ModelArtifact], RatioInterval]
    op_times: Callable[[Recipe, ModelArtifact], ProfiledTimes]
    finished: Callable[[ModelProto], ModelProto]
    stage: Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class CalibrationSet:
    """The calibration images as the fp32 model takes them.

    Attributes:
        batches: The images, (N, C, H, W) float32; iterated as often as needed.
        count: How many there are.
        fingerprint: Of the images and their preprocessing.
    """

    batches: Iterable[Batch]
    count: int
    fingerprint: str


@dataclass(frozen=True)
class BuildTask:
    """What an engine builds models from, and within which settings.

    Attributes:
        model: The prepared fp32 model.
        calibration: The calibration images.
        framework: ``onnxrt_qlinearops`` or ``onnxrt_qdq``: the format that the user requested.
        quantization: What may be done to the model; its target is a class of CPUs.
        tuning: Limits, strategy, placement and the seed.
        rewrites: Names of the rewrites that the written files will have, in order.
        folder: Where the engine may write: the run's work folder.
        threads: Cores that may be used.
    """

    model: ModelArtifact
    calibration: CalibrationSet
    framework: Literal["onnxrt_qlinearops", "onnxrt_qdq"]
    quantization: QuantizationBlock
    tuning: TuningBlock
    rewrites: tuple[str, ...]
    folder: Path
    threads: int


@dataclass(frozen=True)
class SearchTask(BuildTask):
    """One search: the request to an engine, and what it is given to fulfil it.

    Attributes:
        criterion: What a candidate has to reach.
        speed: The requested speed-up.
        times_count: Whether times on this machine say something about the target.
        evaluation_fingerprint: Of the evaluation images.
        callbacks: Evaluates, times and remembers.
        journal: The run's journal: it has the values of finished steps.
        recorded: Times to decide by instead of measuring; None: measure.
        earlier: Finished trials of this engine in the resumed or continued run, which are not tried again.
        rejected: Ids of recipes that do not count as met: what was written from them missed the criterion.
        budget: How many evaluation images candidates may take; None: all of them.
        progress: Called as long work proceeds.
    """

    criterion: Criterion
    speed: SpeedCriterion
    times_count: bool
    evaluation_fingerprint: str
    callbacks: Callbacks
    journal: Journal
    recorded: LatencyTable | None = None
    earlier: tuple[Trial, ...] = ()
    rejected: frozenset[str] = frozenset()
    budget: ImageBudget | None = None
    progress: Progress = silent
