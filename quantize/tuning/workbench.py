"""The steps of a search, each done once and recorded in the journal with the time it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx

from quantize.benchmark.profile import Profile
from quantize.engines.native import NativeBuilder, source_graph
from quantize.engines.native_placing import EQUALIZATION
from quantize.errors import QuantizeError
from quantize.models.artifact import ModelArtifact
from quantize.progress import Progress, silent
from quantize.provenance import fingerprint
from quantize.recipe import Recipe
from quantize.tuning.evidence import HALVES, Calibration, Evidence, Part
from quantize.tuning.journal import Journal
from quantize.tuning.latency_table import LatencyTable, PairedLatency
from quantize.tuning.profiled_times import ProfiledTimes
from quantize.tuning.result import Judged
from quantize.tuning.scorer import Scorer
from quantize.tuning.sensitivity import QuantizedWeights, Sensitivity, measure_sensitivity
from quantize.tuning.settings import SearchSettings
from quantize.tuning.units import UnitGraph

Judge = Callable[[ModelArtifact], Judged]
"""Says how a candidate does on the evaluation images."""
MeasureLatency = Callable[[ModelArtifact], PairedLatency]
"""Times a candidate in alternation with the fp32 model."""
ProfileCandidate = Callable[[ModelArtifact, Recipe], Profile]
"""Profiles the fp32 model and a candidate, op by op."""

_HELD_BACK_IMAGES = 64
"""Images of each half that recipes are compared on, at most."""


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
        """Set up; see ``Search`` for the arguments."""
        self.proto = model.proto()
        self._model, self._settings, self._calibration = model, settings, calibration
        self._judge, self._measure, self._profile = judge, measure, profile
        self._folder, self._journal, self._progress = folder, journal, progress
        self._recorded = recorded or LatencyTable(model=model.graph_sha256)
        self._began = time.monotonic()
        self._replayed = 0.0
        self.seconds: dict[str, float] = {}
        self._evidence: dict[bool, Evidence] = {}
        self._scorers: dict[Part, Scorer] = {}
        self._divergences: dict[str, list[float]] = {}
        self._profiles: dict[str, ProfiledTimes] = {}
        self._measured: dict[str, PairedLatency] = {}

    @property
    def elapsed(self) -> float:
        """Return the seconds spent, those of finished steps before a resumption included."""
        return time.monotonic() - self._began + self._replayed

    @property
    def latency_table(self) -> LatencyTable:
        """Return all times that were used."""
        return LatencyTable(model=self._model.graph_sha256, profiles=self._profiles, measured=self._measured)

    def source(self, recipe: Recipe) -> onnx.ModelProto:
        """Return the fp32 graph that a recipe's candidates are built from."""
        return self._of(recipe).graph

    def calibrate(self, recipe: Recipe) -> None:
        """Collect the statistics that a recipe's candidates are built from."""
        self._step("calibrate", "statistics", lambda: self._of(recipe).statistics("all").images)

    def divergences(self, recipe: Recipe) -> tuple[float, ...]:
        """Return the KL from fp32 of calibration images, in nats, each with statistics that did not see it."""

        def compute() -> list[float]:
            # Rules often give the same range; the same candidate is not scored twice.
            signature = self._signature(recipe)
            if signature not in self._divergences:
                self._divergences[signature] = scored_by_fold()
            return self._divergences[signature]

        def scored_by_fold() -> list[float]:
            found: list[float] = []
            for seen, scored in self._folds():
                statistics = self._of(recipe).statistics(seen)
                candidate = self._builder(recipe, seen).graph(self.proto, recipe, statistics)
                found += self._scorer(scored, _HELD_BACK_IMAGES).fidelity(candidate).divergences.tolist()
            return found

        return tuple(self._step("choose recipe", f"divergences:{recipe.id}", compute))

    def sensitivity(self, recipe: Recipe, graph: UnitGraph) -> Sensitivity:
        """Return what the quantization of every unit alone does to the scores."""

        def compute() -> dict[str, Any]:
            source = self.source(recipe)
            placement, grids = self._builder(recipe, "all").placed(
                self.proto, recipe, self._of(recipe).statistics("all")
            )
            found = measure_sensitivity(
                source,
                graph,
                QuantizedWeights(_changed(source, placement.model), placement.added_biases),
                grids,
                self._scorer("all", self._settings.sensitivity_images),
                fixed_batch=self._model.contract.fixed_batch,
                progress=self._progress,
            )
            return {"weights": dict(found.weights), "tensors": dict(found.tensors), "images": found.images}

        return Sensitivity(**self._step("sensitivity", f"sensitivity:{recipe.id}", compute))

    def built(self, recipe: Recipe) -> ModelArtifact | str:
        """Return a recipe's candidate, from its file where that is there; the error where it cannot be built."""
        path = self._folder / "candidates" / f"{recipe.id}.onnx"

        def compute() -> dict[str, str]:
            try:
                return {"graph_sha256": self._build(recipe).graph_sha256}
            except QuantizeError as error:
                return {"error": str(error)}

        built = self._step("build", f"built:{recipe.id}", compute)
        if "error" in built:
            return str(built["error"])
        artifact = ModelArtifact.load(path) if path.is_file() else None
        if artifact is None or artifact.graph_sha256 != built["graph_sha256"]:
            artifact = self._build(recipe)
        if artifact.graph_sha256 != built["graph_sha256"]:
            raise RuntimeError(f"recipe {recipe.id} was built to another graph than before")
        return artifact

    def judged(self, recipe: Recipe, artifact: ModelArtifact) -> Judged:
        """Return how a candidate does on the evaluation images."""

        def compute() -> dict[str, Any]:
            found = self._judge(artifact)
            return {"metric": found.metric, "met": found.met, "images": found.images, "total": found.total}

        return Judged(**self._step("evaluate", f"judged:{recipe.id}", compute))

    def latency(self, recipe: Recipe, artifact: ModelArtifact, *, to_beat: float | None = None) -> PairedLatency:
        """Return a candidate's time beside the fp32 model's, recorded or measured.

        Args:
            recipe: The candidate's.
            artifact: The candidate.
            to_beat: A speed-up; a candidate that seems faster is measured again, and the lower speed-up counts: of
                many candidates the luckiest measurement would win.
        """

        def compute() -> dict[str, float]:
            found = self._recorded.measured.get(recipe.id)
            if found is None:
                found = self._measure(artifact)
                if to_beat is not None and found.speedup > to_beat:
                    found = min(found, self._measure(artifact), key=lambda one: one.speedup)
            return found.model_dump(mode="json")

        self._measured[recipe.id] = PairedLatency(**self._step("measure", f"latency:{recipe.id}", compute))
        return self._measured[recipe.id]

    def profile(self, recipe: Recipe, artifact: ModelArtifact) -> ProfiledTimes:
        """Return the fp32 model's and a candidate's time op by op, recorded or measured."""

        def compute() -> dict[str, Any]:
            found = self._recorded.profiles.get(recipe.id) or ProfiledTimes.of(self._profile(artifact, recipe))
            return found.model_dump(mode="json")

        self._profiles[recipe.id] = ProfiledTimes.model_validate(self._step("profile", f"profile:{recipe.id}", compute))
        return self._profiles[recipe.id]

    def _step(self, stage: str, key: str, compute: Callable[[], Any]) -> Any:
        """Return a step's value, from the journal where it was finished before; its time goes to its stage."""
        replayed = self._journal.finished(key)

        def timed() -> dict[str, Any]:
            began = time.monotonic()
            value = compute()
            return {"value": value, "seconds": time.monotonic() - began}

        entry = self._journal.step(key, timed)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + float(entry["seconds"])
        if replayed:
            self._replayed += float(entry["seconds"])
        return entry["value"]

    def _build(self, recipe: Recipe) -> ModelArtifact:
        return self._builder(recipe, "all").build(self._model, recipe, self._of(recipe).statistics("all"))

    def _signature(self, recipe: Recipe) -> str:
        """Return what tells candidates apart: the recipe with its rules replaced by the grids that they give."""
        grids = [
            {
                name: [grid.scale, grid.zero_point]
                for name, grid in self._builder(recipe, seen)
                .grids(self.proto, recipe, self._of(recipe).statistics(seen))
                .items()
            }
            for seen, _ in self._folds()
        ]
        return fingerprint([recipe.but(range_rule="", range_rules=()).model_dump(mode="json"), grids])

    def _folds(self) -> tuple[tuple[Part, Part], ...]:
        """Return which part's statistics are judged on which part; a single image has to do for both."""
        even, odd = HALVES
        return ((even, odd), (odd, even)) if self._calibration.can_be_halved() else (("all", "all"),)

    def _of(self, recipe: Recipe) -> Evidence:
        """Return the evidence of the graph that a recipe's candidates are built from."""
        is_equalized = EQUALIZATION in recipe.corrections
        if is_equalized not in self._evidence:
            self._evidence[is_equalized] = Evidence(
                source_graph(self.proto, recipe),
                self._calibration,
                self._folder,
                moment_images=self._settings.moment_images,
                threads=self._settings.threads,
                progress=self._progress,
            )
        return self._evidence[is_equalized]

    def _builder(self, recipe: Recipe, part: Part) -> NativeBuilder:
        return self._of(recipe).builder(recipe, part)

    def _scorer(self, part: Part, most: int) -> Scorer:
        if part not in self._scorers:
            batches = self._calibration.images(part, most)
            self._scorers[part] = Scorer(self._model, batches, most=most, threads=self._settings.threads)
        return self._scorers[part]


def _changed(source: onnx.ModelProto, placed: onnx.ModelProto) -> Mapping[str, onnx.TensorProto]:
    original = {tensor.name: tensor.SerializeToString() for tensor in source.graph.initializer}
    return {
        tensor.name: tensor
        for tensor in placed.graph.initializer
        if original.get(tensor.name) != tensor.SerializeToString()
    }
