"""Building, scoring, judging and timing candidates: every step of a search, done once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx

from quantize.engines.native.search.calibration_images import Calibration
from quantize.engines.native.search.held_back import HeldBack
from quantize.engines.native.search.latency_table import LatencyTable, PairedLatency
from quantize.engines.native.search.profiled_times import ProfiledTimes
from quantize.engines.native.search.quantized_weights import QuantizedWeights
from quantize.engines.native.search.result import Judged
from quantize.engines.native.search.sensitivity import Sensitivity, measure_sensitivity
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.source_graphs import SourceGraphs
from quantize.engines.native.search.steps import Steps
from quantize.engines.native.search.stopwatch import MeasureLatency, ProfileCandidate, Stopwatch
from quantize.engines.native.search.units import UnitGraph
from quantize.errors import ModelError, QuantizeError
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

Judge = Callable[[ModelArtifact], Judged]
"""Says how a candidate does on the evaluation images."""


class Workbench:
    """Builds, scores, judges and times candidates of one model."""

    def __init__(
        self,
        model: ModelArtifact,
        settings: SearchSettings,
        calibration: Calibration,
        *,
        judge: Judge,
        measure: MeasureLatency,
        profile: ProfileCandidate,
        folder: Path,
        journal: Journal,
        recorded: LatencyTable | None = None,
        progress: Progress = silent,
    ) -> None:
        """Set up; see ``NativeTuner`` for the arguments."""
        self.proto = model.proto()
        self._model, self._settings = model, settings
        self._judge, self._folder, self._progress = judge, folder, progress
        self._steps = Steps(journal)
        self._graphs = SourceGraphs(self.proto, calibration, folder, settings, progress=progress)
        self._held_back = HeldBack(model, self._graphs, threads=settings.threads)
        self._watch = Stopwatch(
            model, self._steps, measure, profile, recorded or LatencyTable(model=model.graph_sha256)
        )

    @property
    def seconds(self) -> Mapping[str, float]:
        """Return the time by stage."""
        return self._steps.seconds

    @property
    def elapsed(self) -> float:
        """Return the seconds spent, those of finished steps before a resumption included."""
        return self._steps.elapsed

    @property
    def latency_table(self) -> LatencyTable:
        """Return all times that were used."""
        return self._watch.table

    def source(self, recipe: Recipe) -> onnx.ModelProto:
        """Return the fp32 graph that a recipe's candidates are built from."""
        return self._graphs.of(recipe).graph

    def calibrate(self, recipe: Recipe) -> None:
        """Collect the statistics that a recipe's candidates are built from."""
        self._steps.step("calibrate", "statistics", lambda: self._graphs.of(recipe).statistics("all").images)

    def divergences(self, recipe: Recipe) -> tuple[float, ...]:
        """Return the KL from fp32 of calibration images, in nats, each with statistics that did not see it."""
        key = f"divergences:{recipe.id}"
        return tuple(self._steps.step("choose recipe", key, lambda: self._held_back.divergences(recipe)))

    def sensitivity(self, recipe: Recipe, graph: UnitGraph, *, weights_only: bool = False) -> Sensitivity:
        """Return what the quantization of every unit alone does to the scores.

        Args:
            recipe: Of the all-quantized candidate.
            graph: The model as units.
            weights_only: Leave out what units' outputs on their grids do.
        """

        def compute() -> dict[str, Any]:
            source, statistics = self.source(recipe), self._graphs.of(recipe).statistics("all")
            placement, grids = self._graphs.builder(recipe, "all").placed(self.proto, recipe, statistics)
            self._graphs.release()  # the weights are rounded: what follows needs memory of its own
            found = measure_sensitivity(
                source,
                graph,
                QuantizedWeights.of(source, placement),
                {} if weights_only else grids,
                self._held_back.scorer("all", self._settings.sensitivity_images),
                fixed_batch=self._model.contract.fixed_batch,
                progress=self._progress,
            )
            return {"weights": dict(found.weights), "tensors": dict(found.tensors), "images": found.images}

        return Sensitivity(**self._steps.step("sensitivity", f"sensitivity:{recipe.id}", compute))

    def built(self, recipe: Recipe) -> ModelArtifact | str:
        """Return a recipe's candidate, from its file where that is whole; the error where it cannot be built."""
        path = self._folder / "candidates" / f"{recipe.id}.onnx"

        def compute() -> dict[str, str]:
            try:
                return {"graph_sha256": self._build(recipe).graph_sha256}
            except QuantizeError as error:
                return {"error": str(error)}

        built = self._steps.step("build", f"built:{recipe.id}", compute)
        if "error" in built:
            return str(built["error"])
        artifact = _kept(path)
        if artifact is None or artifact.graph_sha256 != built["graph_sha256"]:
            artifact = self._build(recipe)
        if artifact.graph_sha256 != built["graph_sha256"]:
            raise RuntimeError(f"recipe {recipe.id} was built to another graph than before")
        return artifact

    def judged(self, artifact: ModelArtifact) -> Judged:
        """Return how a candidate does on the evaluation images; the same graph is judged once."""

        def compute() -> dict[str, Any]:
            found = self._judge(artifact)
            return {"metric": found.metric, "met": found.met, "images": found.images, "total": found.total}

        return Judged(**self._steps.step("evaluate", f"judged:{artifact.graph_sha256}", compute))

    def latency(
        self,
        artifact: ModelArtifact,
        *,
        recipe: str | None = None,
        beside: ModelArtifact | None = None,
        to_beat: float | None = None,
    ) -> PairedLatency:
        """Return a candidate's time beside the fp32 model's; see ``Stopwatch.latency``."""
        return self._watch.latency(artifact, recipe=recipe, beside=beside, to_beat=to_beat)

    def noise_floor(self) -> float:
        """Return the largest relative difference that fp32 shows from itself, a fraction; see ``Stopwatch``."""
        return self._watch.noise_floor()

    def profile(self, recipe: Recipe, artifact: ModelArtifact) -> ProfiledTimes:
        """Return the fp32 model's and a candidate's time op by op."""
        return self._watch.profile(recipe, artifact)

    def _build(self, recipe: Recipe) -> ModelArtifact:
        statistics = self._graphs.of(recipe).statistics("all")
        return self._graphs.builder(recipe, "all").build(self._model, recipe, statistics)


def _kept(path: Path) -> ModelArtifact | None:
    """Return the model in a file, or None where there is none that can be read."""
    try:
        return ModelArtifact.load(path)
    except ModelError:
        return None
