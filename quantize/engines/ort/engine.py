"""The engine ``ort``: onnxruntime's own quantizer, with its settings searched under the run's criterion."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path

from onnx import ModelProto

from quantize.engines.engine import EngineSearch
from quantize.engines.float_nodes import nodes_in_float
from quantize.engines.ort.quantizer import Quantizer
from quantize.engines.ort.search import TITLE, OrtSearch
from quantize.engines.ort.settings import settings_to_try
from quantize.engines.placement.placed_model import int8_layers, placed, placed_nodes
from quantize.engines.task import BuildTask, CalibrationSet, SearchTask
from quantize.engines.trial import Trial
from quantize.errors import EngineError
from quantize.formats.float_reasons import FloatReason
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.session import open_session
from quantize.recipe import EngineName, Recipe


class OrtEngine:
    """onnxruntime's own quantizer."""

    name: EngineName = "ort"
    title: str = TITLE
    in_words: str = TITLE
    corrects_own_scores: bool = False
    has_own_process: bool = True
    yields_trials_again: bool = False

    def require(self) -> None:
        """Raise if this onnxruntime comes without its quantizer."""
        if importlib.util.find_spec("onnxruntime.quantization") is None:
            raise EngineError(
                "onnxruntime's quantizer is not installed",
                expected="the package onnxruntime with onnxruntime.quantization",
                advice="pip install onnxruntime, or use tuning.engine: native",
            )

    def search(self, task: SearchTask) -> EngineSearch:
        """Return a search that has not begun."""
        return OrtSearch(task)

    def first(self, task: BuildTask) -> Trial:
        """Return the candidate of the first settings."""
        began, recipe = time.monotonic(), settings_to_try(task)[0][0]
        built = self.build(task.model, recipe, task.calibration, task.folder)
        open_session(built.path)
        return Trial(0, recipe, built, None, time.monotonic() - began)

    def build(self, model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path) -> ModelArtifact:
        """Return the model of a recipe, its placement included."""
        bare = recipe.but(rewrites=())
        with Quantizer(model, calibration, folder) as quantizer:
            built = quantizer.build(bare)
        if placed_nodes(bare) is None:
            return built
        return save_model(placed(built.proto(), model.proto(), bare), built.path)

    def reference(self, model: ModelProto, _recipe: Recipe, /) -> ModelProto:
        """Return the fp32 model itself: the quantizer takes its weights as they are."""
        return model

    def stays_in_float(
        self, model: ModelArtifact, recipe: Recipe, _calibration: CalibrationSet, _folder: Path, /
    ) -> Mapping[str, FloatReason]:
        """Return the nodes that stay in float whatever is asked."""
        return nodes_in_float(model.proto(), recipe)

    def int8_layers(self, recipe: Recipe, model: ModelProto) -> tuple[int, int]:
        """Return how many layers a recipe computes in int8, of how many."""
        return int8_layers(recipe, model)


ENGINE = OrtEngine()
