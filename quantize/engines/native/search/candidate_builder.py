"""Build each candidate of a search once, from the fp32 graph as given, smoothed or equalized."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from quantize.calibration.channel_ranges import collect_channel_ranges
from quantize.engines.native.builder.builder import source_graph
from quantize.engines.native.builder.kept import Kept
from quantize.engines.native.builder.kept_levels import KeptLevels
from quantize.engines.native.builder.kept_problems import KeptProblems
from quantize.engines.native.builder.smoothable import smoothable
from quantize.engines.native.builder.smoothing import SMOOTHING, smoothing_factors
from quantize.engines.native.builder.weights import EQUALIZATION
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.source_graph import HALVES, Part, SourceGraph, can_be_halved, images_of
from quantize.engines.task import CalibrationSet
from quantize.errors import ModelError, QuantizeError, StorageError
from quantize.formats.given_grids import grids_of
from quantize.models.artifact import ModelArtifact
from quantize.opening.prove import prove
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

_Built = Annotated[dict[Literal["graph_sha256", "error"], str], Field(min_length=1)]
_SMOOTHING_IMAGES = 32
"""Images whose greatest values by channel smoothing balances, at most."""

_PROBLEM_BYTES = 48_000_000
"""Of rounding problems that are kept: those of all layers of a small model; of a large one, half of what it takes."""


class CandidateBuilder:
    """Builds the candidates of one model, and takes up the files of an interrupted search.

    Attributes:
        model: The fp32 model.
        calibration: The calibration images.
    """

    def __init__(
        self,
        model: ModelArtifact,
        settings: SearchSettings,
        calibration: CalibrationSet,
        journal: SearchJournal,
        folder: Path,
        *,
        progress: Progress = silent,
    ) -> None:
        """Set up.

        Args:
            model: The fp32 model.
            settings: How many images and threads are used.
            calibration: The calibration images.
            journal: Remembers which graph a recipe gave.
            folder: The run's work folder, with candidates in ``candidates/``.
            progress: Called after every calibration image.
        """
        self.model, self.calibration = model, calibration
        self._settings, self._journal, self._folder, self._progress = settings, journal, folder, progress
        self._built: set[str] = set()
        self._sources: dict[tuple[bool, str | None], SourceGraph] = {}
        self._last: SourceGraph | None = None
        self._kept = Kept(KeptProblems(max(_PROBLEM_BYTES, model.bytes // 2)), KeptLevels(folder))

    def source(self, recipe: Recipe) -> SourceGraph:
        """Return the graph that a recipe's candidates are built from; the last one's memory is released."""
        factors = dict(recipe.details)[SMOOTHING] if SMOOTHING in recipe.corrections else None
        key = EQUALIZATION in recipe.corrections, factors
        source = self._sources.get(key)
        if self._last is not None and self._last is not source:
            self._last.release()  # before another graph is made, each as large as the model
        if source is None:
            source = self._sources[key] = SourceGraph(
                partial(source_graph, self.model, recipe),
                self.calibration,
                self._folder,
                moment_images=self._settings.moment_images,
                threads=self._settings.threads,
                kept=self._kept,
                progress=self._progress,
            )
        self._last = source
        return source

    def release(self) -> None:
        """Free what takes much memory, and can be computed again or read from its file."""
        for source in self._sources.values():
            source.release()

    def smoothing(self, recipe: Recipe) -> str | None:
        """Return the factors that smooth the graph of a recipe, as its detail; None where nothing is to be smoothed."""
        graph = self.source(recipe).graph
        axes = {smooth.tensor: smooth.axis for smooth in smoothable(graph)}
        if not axes or grids_of(graph):  # grids that are given are kept, and the tensors with them
            return None

        def compute() -> str:
            images = images_of(self.calibration, most=_SMOOTHING_IMAGES)
            ranges = collect_channel_ranges(graph, axes, images, threads=self._settings.threads)
            return smoothing_factors(graph, ranges)

        factors = str(self._journal.remember("choose recipe", "smoothing", compute, str))
        return factors if json.loads(factors) else None

    def folds(self) -> tuple[tuple[Part, Part], ...]:
        """Return pairs of the part that statistics come from and the part that is scored; one image serves as both."""
        even, odd = HALVES
        return ((even, odd), (odd, even)) if can_be_halved(self.calibration) else (("all", "all"),)

    def build(self, recipe: Recipe) -> ModelArtifact | str:
        """Return a recipe's candidate, from its file if that is intact; the error if it cannot be built.

        Raises:
            StorageError: Its file cannot be written.
        """

        def compute() -> dict[str, str]:
            self._built.add(recipe.id)
            try:
                return {"graph_sha256": self.source(recipe).build(self.model, recipe).graph_sha256}
            except StorageError:  # says nothing of the recipe, and must not be remembered as if it did
                raise
            except QuantizeError as error:
                return {"error": str(error)}

        built = self._journal.remember("build", f"built:{recipe.id}", compute, _Built)
        if "error" in built:
            return str(built["error"])
        path = self._folder / "candidates" / f"{recipe.id}.onnx"
        try:
            if recipe.id not in self._built:  # the file lay in the run's folder, which may come from anywhere
                prove(path)
            artifact = ModelArtifact.load(path)
        except ModelError:  # there is none, or none that can be read
            artifact = None
        if artifact is None or artifact.graph_sha256 != built["graph_sha256"]:
            artifact = self.source(recipe).build(self.model, recipe)
        if artifact.graph_sha256 != built["graph_sha256"]:
            raise RuntimeError(f"recipe {recipe.id} was built to another graph than before")
        return artifact
