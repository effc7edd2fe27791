"""The one seam for engines: what each one takes and gives, and the registry that finds one by its name.

An engine searches and builds. It never evaluates or times a model by itself: the run hands it callbacks for that, so
that every engine is judged by the same criterion on the same images. A new engine is a folder ``engines/NAME/`` whose
module ``engine`` has an ``ENGINE``, and its name in ``quantize.recipe.EngineName``.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from quantize.criterion import Criterion, SpeedCriterion
from quantize.errors import EngineError
from quantize.progress import Progress, silent
from quantize.recipe import EngineName, Recipe

if TYPE_CHECKING:
    from onnx import ModelProto

    from quantize.config.quantization import QuantizationBlock
    from quantize.config.tuning import TuningBlock
    from quantize.data.batches import Batch
    from quantize.engines.native.search.latency_model import ProfiledTimes
    from quantize.engines.native.search.latency_table import LatencyTable
    from quantize.engines.placement.search import Option
    from quantize.evaluation.evaluation import Evaluation
    from quantize.journal import Journal
    from quantize.measurement.operators.operator_times import Profile
    from quantize.measurement.timing.measurement import Measurement
    from quantize.models.artifact import ModelArtifact
    from quantize.rewrites import RatioInterval

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


class MeasurePair(Protocol):
    """Measures two models in alternation on the run's images, as ``baseline`` and ``candidate``."""

    def __call__(
        self, baseline: ModelArtifact, candidate: ModelArtifact, /, *, seconds: float, runs: int
    ) -> Measurement:
        """Return the measurement.

        Args:
            baseline: The model to compare with.
            candidate: The other one.
            seconds: When to stop in any case.
            runs: Timed runs of each before it may stop.
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
        evaluate: Returns the criterion's metric of a candidate on the images that trials may see, a fraction.
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
class SearchTask:
    """One search: what is asked of an engine, and what it is given to do it.

    Attributes:
        model: The prepared fp32 model.
        criterion: What a candidate has to reach.
        calibration: The calibration images.
        framework: ``onnxrt_qlinearops`` or ``onnxrt_qdq``: the format that the user asked for.
        quantization: What may be done to the model; its target is a class of CPUs.
        tuning: Limits, strategy, placement and the seed.
        speed: The speed-up that is asked for.
        times_count: Whether times on this machine say something about the target.
        rewrites: Names of the rewrites that the written files will have, in order.
        evaluation_fingerprint: Of the evaluation images.
        folder: Where the engine may write: the run's work folder.
        threads: Cores that may be used.
        callbacks: Evaluates, times and remembers.
        journal: The run's journal: it has the values of finished steps.
        recorded: Times to decide by instead of measuring; None: measure.
        earlier: Finished trials of this engine in the run that is resumed or goes on, which are not tried again.
        rejected: Ids of recipes that do not count as met: what was written from them missed the criterion.
        progress: Called as long work proceeds.
    """

    model: ModelArtifact
    criterion: Criterion
    calibration: CalibrationSet
    framework: Literal["onnxrt_qlinearops", "onnxrt_qdq"]
    quantization: QuantizationBlock
    tuning: TuningBlock
    speed: SpeedCriterion
    times_count: bool
    rewrites: tuple[str, ...]
    evaluation_fingerprint: str
    folder: Path
    threads: int
    callbacks: Callbacks
    journal: Journal
    recorded: LatencyTable | None = None
    earlier: tuple[Trial, ...] = ()
    rejected: frozenset[str] = frozenset()
    progress: Progress = silent


@dataclass(frozen=True)
class CandidateRecord:
    """One candidate of a search that predicts and measures times.

    Attributes:
        recipe_id: What it was built from.
        step: The step of the search that it came from.
        predicted_ns: Its predicted time for one run; None where there was no prediction.
        measured_ns: Its measured time; None where it was not measured.
        speedup: fp32's time over its own; None where it was not measured.
        trial: Index of its trial; None for one that was timed only.
        images: Images that were looked at before its verdict was certain.
        met: Whether it meets the criterion; None where that was not asked.
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
        may_go_on: It ended because a trial met the criterion, and can go on without that one.
        peak_bytes: Largest resident set of the process that searched; None where the system does not tell.
        record: How it went; None where the engine neither predicts nor measures times.
        latencies: The times that decided; None where none did.
    """

    chosen: Trial
    stopped_because: str
    seconds: float
    others: tuple[Trial, ...] = ()
    may_go_on: bool = False
    peak_bytes: int | None = None
    record: SearchRecord | None = None
    latencies: LatencyTable | None = None


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


class EngineSearch(Protocol):
    """One search by one engine."""

    def trials(self) -> Iterator[Trial]:
        """Yield every trial as it is finished, but for those of ``SearchTask.earlier``.

        Raises:
            EngineError: The engine failed.
        """
        ...

    def outcome(self, trials: Sequence[Trial], seconds: float, /) -> SearchOutcome:
        """Return what the search came to, after its last trial.

        Args:
            trials: All trials of the search, earlier ones first, numbered in order.
            seconds: How long it took since it began or was resumed.

        Raises:
            EngineError: No trial gave a model.
        """
        ...

    def after(self, trials: Sequence[Trial], chosen: Trial, rejected: Collection[str], /) -> Trial | None:
        """Return the candidate to write next where the files of all others missed the criterion, without a new trial.

        Args:
            trials: All trials of the search.
            chosen: The candidate that was written last.
            rejected: Ids of the recipes whose files missed.

        Returns:
            The candidate; None where this search knows of no other.
        """
        ...

    def placed(self, trial: Trial, /) -> PlacedTrial | None:
        """Return a trial with its layers where they are fastest; None where the search itself decides that."""
        ...

    def in_float(self, trial: Trial, /) -> PlacedTrial:
        """Return a trial that was placed with all its arithmetic in float: no other placement's files met."""
        ...


class Engine(Protocol):
    """A way to quantize a model.

    Attributes:
        name: Its name in settings, recipes and reports.
        title: Its name in tables.
        in_words: Its name in sentences.
        corrects_own_scores: Its search corrects the scores of its candidates, so that the run does not.
        yields_trials_again: A search that goes on after an interruption yields its finished trials again, from the
            steps in the journal; otherwise they are handed back to it.
    """

    name: EngineName
    title: str
    in_words: str
    corrects_own_scores: bool
    yields_trials_again: bool

    def require(self) -> None:
        """Raise where the engine cannot be used here; imports nothing heavy.

        Raises:
            EngineError: Says what to install.
        """
        ...

    def search(self, task: SearchTask) -> EngineSearch:
        """Return a search that has not begun.

        Raises:
            QuantizeError: The settings ask for what this engine cannot do.
        """
        ...

    def build(self, model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path) -> ModelArtifact:
        """Return the model of a recipe of this engine, placement included, before its rewrites.

        The same fp32 model, recipe and calibration images give the same graph.

        Args:
            model: The prepared fp32 model.
            recipe: As a search found it; its rewrites are ignored.
            calibration: The same images in the same order.
            folder: Where the engine may write.

        Raises:
            EngineError: The engine is missing or failed.
        """
        ...

    def reference(self, model: ModelProto, recipe: Recipe, /) -> ModelProto:
        """Return the fp32 graph whose tensors a recipe's candidate approximates: an engine may scale weights first."""
        ...

    def int8_layers(self, recipe: Recipe, model: ModelProto) -> tuple[int, int]:
        """Return how many layers with weights a recipe's model computes in int8, and how many there are.

        Args:
            recipe: A recipe of this engine.
            model: The prepared fp32 model.
        """
        ...


ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""Every engine there is: ``quantize.engines.NAME.engine.ENGINE``, imported when it is asked for."""

BOTH: tuple[EngineName, ...] = ("inc", "native")


def engine_named(name: EngineName) -> Engine:
    """Return an engine, importing its module."""
    engine: Engine = importlib.import_module(f"quantize.engines.{name}.engine").ENGINE
    return engine


def engines_for(setting: EngineName | Literal["both", "all"]) -> tuple[EngineName, ...]:
    """Return the engines that the setting ``tuning.engine`` names; ``all``: every one that is installed."""
    if setting == "both":
        return BOTH
    if setting == "all":
        missing = missing_engines()
        return tuple(name for name in ENGINES if name not in missing)
    return (setting,)


def missing_engines() -> dict[EngineName, EngineError]:
    """Return the engines that cannot be used here, and why."""
    missing: dict[EngineName, EngineError] = {}
    for name in ENGINES:
        try:
            engine_named(name).require()
        except EngineError as error:
            missing[name] = error
    return missing


def trial_of(trials: Sequence[Trial], recipe_id: str | None) -> Trial:
    """Return the trial of a recipe, or the built trial with the best metric if the recipe has none.

    Raises:
        EngineError: No trial gave a model.
    """
    built = [trial for trial in trials if trial.artifact is not None]
    if not built:
        failures = [trial.failure for trial in trials if trial.failure]
        raise EngineError(
            "no trial gave a model",
            found="; ".join(f"{failure.stage}: {failure.error}" for failure in failures[:3]) or "no trial at all",
            advice="give the search more time (--timeout, --max_trials), or another strategy",
        )
    for trial in built:
        if trial.recipe.id == recipe_id:
            return trial
    return max(built, key=lambda trial: trial.metric if trial.metric is not None else 0.0)
