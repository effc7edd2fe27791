"""How near recipes come to fp32 on calibration images that their statistics did not see."""

from __future__ import annotations

from quantize.engines.native.search.calibration_images import Part
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.source_graphs import SourceGraphs
from quantize.models.artifact import ModelArtifact
from quantize.provenance import fingerprint
from quantize.recipe import Recipe

_IMAGES = 64
"""Images of each half that recipes are compared on, at most."""


class HeldBack:
    """Scores recipes' candidates fold by fold."""

    def __init__(self, model: ModelArtifact, graphs: SourceGraphs, *, threads: int) -> None:
        """Set up for the fp32 ``model`` and the graphs that are made of it."""
        self._model, self._graphs, self._threads = model, graphs, threads
        self._scorers: dict[Part, Scorer] = {}
        self._divergences: dict[str, list[float]] = {}

    def divergences(self, recipe: Recipe) -> list[float]:
        """Return the KL from fp32 of every image, in nats."""
        # Rules often give the same range; the same candidate is not scored twice.
        signature = self._signature(recipe)
        if signature not in self._divergences:
            self._divergences[signature] = self._scored_by_fold(recipe)
        return self._divergences[signature]

    def scorer(self, part: Part, most: int = _IMAGES) -> Scorer:
        """Return the scorer on a part of the images, at most so many."""
        if part not in self._scorers:
            batches = self._graphs.calibration.images(part, most)
            self._scorers[part] = Scorer(self._model, batches, most=most, threads=self._threads)
        return self._scorers[part]

    def _scored_by_fold(self, recipe: Recipe) -> list[float]:
        found: list[float] = []
        for seen, scored in self._graphs.folds():
            statistics = self._graphs.of(recipe).statistics(seen)
            candidate = self._graphs.builder(recipe, seen).graph(self._graphs.proto, recipe, statistics)
            found += self.scorer(scored).fidelity(candidate).divergences.tolist()
        return found

    def _signature(self, recipe: Recipe) -> str:
        """Return what tells candidates apart: the recipe with its rules replaced by the grids that they give."""
        grids = [
            {
                name: [float(grid.scale), int(grid.zero_point)]
                for name, grid in self._graphs.builder(recipe, seen)
                .grids(self._graphs.proto, recipe, self._graphs.of(recipe).statistics(seen))
                .items()
            }
            for seen, _ in self._graphs.folds()
        ]
        return fingerprint([recipe.but(range_rule="", range_rules=()).model_dump(mode="json"), grids])
