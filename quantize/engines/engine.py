"""The interface of engines, and the registry that finds an engine by name.

An engine searches and builds. It never evaluates or times a model by itself: the run hands it callbacks for that, so
that every engine is judged by the same criterion on the same images. A new engine is a folder ``engines/NAME/`` whose
module ``engine`` has an ``ENGINE``, and its name in ``quantize.recipe.EngineName``.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from quantize.engines.task import BuildTask, CalibrationSet, SearchTask
from quantize.engines.trial import PlacedTrial, SearchOutcome, Trial
from quantize.errors import EngineError
from quantize.recipe import EngineName, Recipe

if TYPE_CHECKING:
    from onnx import ModelProto

    from quantize.formats.float_reasons import FloatReason
    from quantize.models.artifact import ModelArtifact


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
            The candidate; None if this search knows of no other.
        """
        ...

    def placed(self, trial: Trial, /) -> PlacedTrial | None:
        """Return a trial with its layers where they are fastest; None if the search itself decides that."""
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
        has_own_process: Its search runs in a child process, whose memory is what a report tells of it.
        yields_trials_again: A search resumed after an interruption yields its finished trials again, from the
            steps in the journal; otherwise they are handed back to it.
    """

    name: EngineName
    title: str
    in_words: str
    corrects_own_scores: bool
    has_own_process: bool
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

    def first(self, task: BuildTask, /) -> Trial:
        """Return the first candidate that a search builds and onnxruntime opens, without judging it.

        Args:
            task: A few calibration images do.

        Raises:
            QuantizeError: The engine is missing or failed, or the settings ask for what it cannot do.
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

    def stays_in_float(
        self, model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path
    ) -> Mapping[str, FloatReason]:
        """Return the nodes of the fp32 model that no recipe of these types can compute on integers, and why, by name.

        Args:
            model: The prepared fp32 model.
            recipe: Of a model that was built in ``folder``.
            calibration: The same images in the same order.
            folder: Where it was built.
        """
        ...

    def int8_layers(self, recipe: Recipe, model: ModelProto) -> tuple[int, int]:
        """Return how many layers with weights a recipe's model computes in int8, and how many there are.

        Args:
            recipe: A recipe of this engine.
            model: The prepared fp32 model.
        """
        ...


ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""All engines: ``quantize.engines.NAME.engine.ENGINE``, imported on demand."""


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
