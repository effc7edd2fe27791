"""The native builder: turns an fp32 model, a recipe and calibration statistics into a quantized graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import onnx
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from quantize.calibration.statistics import CalibrationStatistics
from quantize.engines.native.builder.activation_grids import Ranges, activation_grids
from quantize.engines.native.builder.equalization import equalized
from quantize.engines.native.builder.kept import Kept
from quantize.engines.native.builder.qdq import insert_qdq
from quantize.engines.native.builder.scores import corrected_scores, logits
from quantize.engines.native.builder.smoothing import SMOOTHING, smoothed
from quantize.engines.native.builder.weight_scales import Floats
from quantize.engines.native.builder.weights import (
    CORRECTIONS,
    EQUALIZATION,
    ROUNDING,
    SCORES,
    Moments,
    QuantizedWeights,
    WeightQuantizer,
)
from quantize.errors import EngineError
from quantize.formats.exact import with_unsigned_weights
from quantize.formats.float_reasons import float_reasons
from quantize.formats.float_weights import guard_float_layers, with_weights
from quantize.formats.given_grids import grids_of
from quantize.formats.kept_activations import with_activations
from quantize.graph.lone_norms import has_lone_norms, norms_as_convs
from quantize.graph.means import has_means, means_as_pools
from quantize.graph.nodes import default_opset, reads
from quantize.graph.opsets.raising import raise_opset
from quantize.graph.view import Graph
from quantize.grid.grid import Grid
from quantize.models.artifact import ModelArtifact, save_model
from quantize.progress import Progress, silent
from quantize.recipe import Recipe
from quantize.rewrites import apply_rewrites

QUANTIZABLE = tuple(
    sorted((set(QLinearOpsRegistry) | set(QDQRegistry)) - {"EmbedLayerNormalization", "Attention", "LSTM"})
)
"""Op types that onnxruntime quantizes, and this engine with it."""

_QDQ_OPSET = 13

Fp32: TypeAlias = onnx.ModelProto | ModelArtifact
"""An fp32 model; an artifact is read only where its content is needed."""


class NativeBuilder:
    """Builds candidates into a folder, each named by its recipe's id."""

    def __init__(
        self,
        folder: Path,
        moments: Moments | None = None,
        images: Callable[[], Iterable[Floats]] | None = None,
        *,
        threads: int = 1,
        kept: Kept | None = None,
        source: Callable[[], onnx.ModelProto] | None = None,
        progress: Progress = silent,
    ) -> None:
        """Set up a builder.

        Args:
            folder: Where candidates are written.
            moments: Returns the second moments by node of the model that is built from; called when the first recipe
                with the correction ``rounding`` needs them.
            images: Returns batches of calibration images as the model takes them, some hundred in all; called when a
                recipe with the correction ``scores`` needs them, which releases each batch once it has run.
            threads: Batches of them that run at a time.
            kept: Keeps what takes long of weights, also for other builders; None: for this one, all of it.
            source: Returns what ``source_graph`` makes of the model for every recipe that will be built; None: it is
                made each time.
            progress: Called after every layer whose weights were rounded to the least error.
        """
        self._folder, self._moments, self._images, self._threads = folder, moments, images, threads
        self._source = source
        self._weights = WeightQuantizer(moments, kept, progress)
        self._ranges: Ranges = {}
        self._statistics: CalibrationStatistics | None = None
        self._stay: dict[object, frozenset[str]] = {}
        self._reference: Floats | None = None

    def release(self) -> None:
        """Free what takes much memory and can be computed again; rounded weights are kept."""
        self._weights.release()
        self._statistics, self._ranges, self._stay = None, {}, {}

    def build(self, model: ModelArtifact, recipe: Recipe, statistics: CalibrationStatistics, /) -> ModelArtifact:
        """Return the quantized model in canonical form (QDQ, opset 13 or later).

        Args:
            model: The fp32 model; where the recipe says ``equalization``, not yet equalized.
            recipe: What to build.
            statistics: Statistics of the fp32 model, of the equalized one where the recipe says so.

        Raises:
            EngineError: If the recipe asks for what this engine does not do.
            ValueError: If it asks for ``rounding`` or ``scores`` without second moments or images.
        """
        return save_model(self.graph(model, recipe, statistics), self._folder / f"{recipe.id}.onnx")

    def graph(self, model: Fp32, recipe: Recipe, statistics: CalibrationStatistics) -> onnx.ModelProto:
        """Return the quantized graph without writing it; see ``build``."""
        weights, activations = self.quantized_weights(model, recipe, statistics)
        placed = self._with_float_nodes(self._source_of(model, recipe), recipe, statistics)
        quantized = insert_qdq(weights.model, placed, op_types_of(recipe), activations, weights.grids)
        # Before rewrites, which may give nodes other names.
        if recipe.uint8_nodes:
            quantized = with_unsigned_weights(quantized, recipe.uint8_nodes)
        if weights.stored:
            quantized = with_weights(quantized, weights.stored)
        quantized = apply_rewrites(with_activations(quantized, weights.model), recipe.rewrites)
        guard_float_layers(quantized)
        del weights  # as large as the model, as is what the scores are compared with
        if SCORES not in recipe.corrections:
            return quantized
        assert self._images is not None
        if self._reference is None:
            self._reference = logits(_read(model), self._images(), self._threads)
        own = logits(quantized, self._images(), self._threads)
        return corrected_scores(quantized, self._reference, own)

    def quantized_weights(
        self, model: Fp32, recipe: Recipe, statistics: CalibrationStatistics
    ) -> tuple[QuantizedWeights, dict[str, Grid]]:
        """Return the model with its weights rounded to their grids, and the grids of the activations, by tensor."""
        self._check(recipe)
        source = self._source_of(model, recipe)
        activations = self.grids(model, recipe, statistics)
        if recipe.weight_type != "int8":
            return QuantizedWeights(source, {}, {}), activations
        placed = self._with_float_nodes(source, recipe, statistics)
        return self._weights.quantize(source, placed, op_types_of(recipe), activations, statistics), activations

    def grids(self, model: Fp32, recipe: Recipe, statistics: CalibrationStatistics) -> dict[str, Grid]:
        """Return the grids of the activations, by tensor."""
        source = self._source_of(model, recipe)
        placed = self._with_float_nodes(source, recipe, statistics)
        return activation_grids(source, placed, statistics, self._ranges)

    def used_grids(self, model: Fp32, recipe: Recipe, statistics: CalibrationStatistics) -> dict[str, Grid]:
        """Return those of ``grids`` that can matter: of what the nodes read or make that the recipe quantizes."""
        source = self._source_of(model, recipe)
        floats = {*self._with_float_nodes(source, recipe, statistics).float_nodes}
        kinds = {*op_types_of(recipe)}
        nodes = [node for node in source.graph.node if node.op_type in kinds and node.name not in floats]
        used = {name for node in nodes for name in (*reads(node), *node.output)}
        return {name: grid for name, grid in self.grids(model, recipe, statistics).items() if name in used}

    def _source_of(self, model: Fp32, recipe: Recipe) -> onnx.ModelProto:
        return source_graph(model, recipe) if self._source is None else self._source()

    def _with_float_nodes(self, source: onnx.ModelProto, recipe: Recipe, statistics: CalibrationStatistics) -> Recipe:
        """Return a recipe that also names the nodes that cannot be quantized here."""
        if statistics is not self._statistics:
            self._statistics, self._ranges, self._stay = statistics, {}, {}
        kinds = (recipe.activation_type, recipe.weight_type, recipe.float_op_types)
        if kinds not in self._stay:
            reasons = float_reasons(
                source,
                op_types_of(recipe),
                activation_type=recipe.activation_type,
                weight_type=recipe.weight_type,
                known=statistics.tensors,
            )
            self._stay[kinds] = frozenset(reasons)
        return recipe.but(float_nodes=tuple(sorted({*recipe.float_nodes, *self._stay[kinds]})))

    def _check(self, recipe: Recipe) -> None:
        unknown = sorted(set(recipe.corrections) - set(CORRECTIONS))
        if unknown:
            raise EngineError(
                "the native engine has no such correction", found=", ".join(unknown), expected=", ".join(CORRECTIONS)
            )
        if recipe.weight_type != "int8" and recipe.corrections:
            raise EngineError("corrections need weights of type int8", found=f"weight type {recipe.weight_type}")
        if ROUNDING in recipe.corrections and self._moments is None:
            raise ValueError("the correction 'rounding' needs the layers' second moments")
        if SCORES in recipe.corrections and self._images is None:
            raise ValueError("the correction 'scores' needs calibration images")


def _read(model: Fp32) -> onnx.ModelProto:
    return model.proto() if isinstance(model, ModelArtifact) else model


def source_graph(fp32: Fp32, recipe: Recipe) -> onnx.ModelProto:
    """Return the fp32 graph that a recipe's candidates are built from; calibration statistics are of this graph.

    It is the model, at opset 13 at least, the first whose QuantizeLinear knows channels, with a Conv for every
    BatchNormalization that is left and a pool for every mean over height and width, smoothed and equalized where the
    recipe says so.
    """
    model = _read(fp32)
    if default_opset(model) < _QDQ_OPSET:
        model = raise_opset(model, _QDQ_OPSET)
    if grids_of(model):  # smoothing and equalizing would rescale tensors whose grids are given
        return model
    view = Graph.of(model)
    if has_lone_norms(view) or has_means(view):
        graph = Graph(model)
        norms_as_convs(graph)
        means_as_pools(graph)
        model = graph.model()
    if SMOOTHING in recipe.corrections:
        model = smoothed(model, recipe)
    return equalized(model) if EQUALIZATION in recipe.corrections else model


def op_types_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the op types that a recipe quantizes."""
    return tuple(sorted(set(QUANTIZABLE) - set(recipe.float_op_types)))
