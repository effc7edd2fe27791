"""The native builder: from an fp32 model, a recipe and calibration statistics to a quantized graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from quantize.calibration.second_moments import SecondMoments
from quantize.calibration.statistics import CalibrationStatistics
from quantize.engines.native.builder.activation_grids import GridChooser, activation_grids
from quantize.engines.native.builder.equalization import equalized
from quantize.engines.native.builder.qdq import insert_qdq
from quantize.engines.native.builder.rewriting import rewritten
from quantize.engines.native.builder.scores import corrected_scores, logits
from quantize.engines.native.builder.weights import (
    BIAS,
    CORRECTIONS,
    EQUALIZATION,
    ROUNDING,
    SCORES,
    WEIGHT_MSE,
    Placement,
    WeightPlacer,
)
from quantize.errors import EngineError
from quantize.formats.exact import with_unsigned_weights
from quantize.formats.float_weights import guard_float_layers, with_weights
from quantize.graph.nodes import default_opset
from quantize.graph.opsets.raising import raise_opset
from quantize.grid.grid import Grid
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import Recipe

__all__ = ["BIAS", "CORRECTIONS", "EQUALIZATION", "QUANTIZABLE", "ROUNDING", "SCORES", "WEIGHT_MSE", "NativeBuilder"]

QUANTIZABLE = tuple(
    sorted((set(QLinearOpsRegistry) | set(QDQRegistry)) - {"EmbedLayerNormalization", "Attention", "LSTM"})
)
"""Op types that onnxruntime quantizes, and this engine with it."""


_QDQ_OPSET = 13


class NativeBuilder:
    """Builds candidates into a folder, each named by its recipe's id."""

    def __init__(
        self,
        folder: Path,
        moments: Mapping[str, SecondMoments] | None = None,
        images: Sequence[npt.NDArray[np.float32]] = (),
    ) -> None:
        """Set up a builder.

        Args:
            folder: Where candidates are written.
            moments: Second moments by node, of the model that is built from; needed by the correction ``rounding``.
            images: Batches of calibration images as the model takes them, some hundred in all; needed by the
                correction ``scores``.
        """
        self._folder = folder
        self._has_moments = moments is not None
        self._images = images
        self._reference: npt.NDArray[np.float32] | None = None
        self._placer = WeightPlacer(moments)
        self._chooser = GridChooser()

    def use_moments(self, moments: Mapping[str, SecondMoments]) -> None:
        """Give the second moments later, when the first recipe with ``rounding`` needs them."""
        if not self._has_moments:
            self._placer.use(moments)
            self._has_moments = True

    def use_images(self, images: Sequence[npt.NDArray[np.float32]]) -> None:
        """Give the images later, when the first recipe with ``scores`` needs them."""
        if not self._images:
            self._images = images

    def release(self) -> None:
        """Let go of what takes much memory and can be made again."""
        self._placer.release()

    def build(self, model: ModelArtifact, recipe: Recipe, evidence: CalibrationStatistics, /) -> ModelArtifact:
        """Return the quantized model in canonical form (QDQ, opset 13 or later).

        Args:
            model: The fp32 model; where the recipe says ``equalization``, not yet equalized.
            recipe: What to build.
            evidence: Statistics of the fp32 model, of the equalized one where the recipe says so.

        Raises:
            EngineError: If the recipe asks for what this engine does not do.
            ValueError: If it asks for ``rounding`` or ``scores`` and there are no second moments or images.
        """
        return save_model(self.graph(model.proto(), recipe, evidence), self._folder / f"{recipe.id}.onnx")

    def graph(self, model: onnx.ModelProto, recipe: Recipe, evidence: CalibrationStatistics) -> onnx.ModelProto:
        """Return the quantized graph without writing it; see ``build``."""
        placement, activations = self.placed(model, recipe, evidence)
        quantized = insert_qdq(placement.model, recipe, op_types_of(recipe), activations, placement.grids)
        # Before rewrites, which may give nodes other names.
        if recipe.uint8_nodes:
            quantized = with_unsigned_weights(quantized, recipe.uint8_nodes)
        if placement.stored:
            quantized = with_weights(quantized, placement.stored)
        quantized = rewritten(quantized, recipe.rewrites)
        guard_float_layers(quantized)
        if SCORES not in recipe.corrections:
            return quantized
        if self._reference is None:
            self._reference = logits(model, self._images)
        return corrected_scores(quantized, self._reference, logits(quantized, self._images))

    def placed(
        self, model: onnx.ModelProto, recipe: Recipe, evidence: CalibrationStatistics
    ) -> tuple[Placement, dict[str, Grid]]:
        """Return the model with its weights on their grids, and the grids of the activations, by tensor."""
        self._check(recipe)
        source = source_graph(model, recipe)
        activations = self.grids(model, recipe, evidence)
        if recipe.weight_type != "int8":
            return Placement(source, {}, {}), activations
        return self._placer.place(source, recipe, op_types_of(recipe), activations, evidence), activations

    def grids(self, model: onnx.ModelProto, recipe: Recipe, evidence: CalibrationStatistics) -> dict[str, Grid]:
        """Return the grids of the activations, by tensor."""
        return activation_grids(source_graph(model, recipe), recipe, evidence, self._chooser)

    def _check(self, recipe: Recipe) -> None:
        unknown = sorted(set(recipe.corrections) - set(CORRECTIONS))
        if unknown:
            raise EngineError(
                "the native engine has no such correction", found=", ".join(unknown), expected=", ".join(CORRECTIONS)
            )
        if recipe.weight_type != "int8" and recipe.corrections:
            raise EngineError("corrections need weights of type int8", found=f"weight type {recipe.weight_type}")
        if ROUNDING in recipe.corrections and not self._has_moments:
            raise ValueError("the correction 'rounding' needs the layers' second moments")
        if SCORES in recipe.corrections and not self._images:
            raise ValueError("the correction 'scores' needs calibration images")


def source_graph(model: onnx.ModelProto, recipe: Recipe) -> onnx.ModelProto:
    """Return the fp32 graph that a recipe's candidates are built from; calibration statistics are of this graph.

    It is ``model``, at opset 13 at least, the first whose QuantizeLinear knows channels, and equalized where the
    recipe says so.
    """
    if default_opset(model) < _QDQ_OPSET:
        model = raise_opset(model, _QDQ_OPSET)
    return equalized(model) if EQUALIZATION in recipe.corrections else model


def op_types_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the op types that a recipe quantizes."""
    return tuple(sorted(set(QUANTIZABLE) - set(recipe.float_op_types)))
