"""The fp32 graphs that candidates are built from, as given and equalized, and what is known of each."""

from __future__ import annotations

from pathlib import Path

import onnx

from quantize.engines.native.builder.builder import NativeBuilder, source_graph
from quantize.engines.native.builder.weights import EQUALIZATION
from quantize.engines.native.search.calibration_images import HALVES, Calibration, Part
from quantize.engines.native.search.evidence import Evidence
from quantize.engines.native.search.settings import SearchSettings
from quantize.progress import Progress, silent
from quantize.recipe import Recipe


class SourceGraphs:
    """The graphs of one model, with their statistics and builders.

    Attributes:
        proto: The fp32 model.
        calibration: The calibration images.
        folder: Where statistics and candidates are kept.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        calibration: Calibration,
        folder: Path,
        settings: SearchSettings,
        *,
        progress: Progress = silent,
    ) -> None:
        """Set up; nothing is computed until it is asked for."""
        self.proto, self.calibration, self.folder = proto, calibration, folder
        self._settings, self._progress = settings, progress
        self._evidence: dict[bool, Evidence] = {}
        self._last: Evidence | None = None

    def of(self, recipe: Recipe) -> Evidence:
        """Return the evidence of the graph that a recipe's candidates are built from."""
        is_equalized = EQUALIZATION in recipe.corrections
        if is_equalized not in self._evidence:
            self._evidence[is_equalized] = Evidence(
                source_graph(self.proto, recipe),
                self.calibration,
                self.folder,
                moment_images=self._settings.moment_images,
                threads=self._settings.threads,
                progress=self._progress,
            )
        found = self._evidence[is_equalized]
        if self._last is not None and self._last is not found:
            self._last.release()
        self._last = found
        return found

    def builder(self, recipe: Recipe, part: Part) -> NativeBuilder:
        """Return the builder of a recipe's candidates from a part of the images."""
        return self.of(recipe).builder(recipe, part)

    def release(self) -> None:
        """Let go of what takes much memory and can be made again."""
        for evidence in self._evidence.values():
            evidence.release()

    def folds(self) -> tuple[tuple[Part, Part], ...]:
        """Return which part's statistics are judged on which part; a single image has to do for both."""
        even, odd = HALVES
        return ((even, odd), (odd, even)) if self.calibration.can_be_halved() else (("all", "all"),)
