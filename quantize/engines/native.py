"""The native builder: from an fp32 model, a recipe and calibration statistics to a quantized graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from quantize.calibration.grid import Grid
from quantize.calibration.second_moments import SecondMoments
from quantize.calibration.statistics import CalibrationStatistics
from quantize.engines.native_bias import bias_shift
from quantize.engines.native_equalization import equalized
from quantize.engines.native_guard import guard_float_layers
from quantize.engines.native_layers import Layer, arrays, layers, replace_initializer
from quantize.engines.native_qdq import WeightGrid, insert_qdq
from quantize.engines.native_ranges import activation_grids
from quantize.engines.native_rounding import least_squares_levels
from quantize.engines.native_weights import greatest_level, nearest_levels, scales_by_maximum, scales_by_mse
from quantize.errors import EngineError
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import Recipe

EQUALIZATION, WEIGHT_MSE, ROUNDING, BIAS = "equalization", "weight_mse", "rounding", "bias"
CORRECTIONS = (EQUALIZATION, WEIGHT_MSE, ROUNDING, BIAS)
"""Every correction, in the order in which they are applied."""

QUANTIZABLE = tuple(
    sorted((set(QLinearOpsRegistry) | set(QDQRegistry)) - {"EmbedLayerNormalization", "Attention", "LSTM"})
)
"""Op types that onnxruntime quantizes, and this engine with it."""

_INT32 = float(2**31 - 1)


class NativeBuilder:
    """Builds candidates into a folder, each named by its recipe's id."""

    def __init__(self, folder: Path, moments: Mapping[str, SecondMoments] | None = None) -> None:
        """Set up a builder.

        Args:
            folder: Where candidates are written.
            moments: Second moments by node, of the model that is built from; needed by the correction ``rounding``.
        """
        self._folder = folder
        self._moments = moments

    def build(self, model: ModelArtifact, recipe: Recipe, evidence: CalibrationStatistics, /) -> ModelArtifact:
        """Return the quantized model in canonical form (QDQ, opset 13 or later).

        Args:
            model: The fp32 model; where the recipe says ``equalization``, not yet equalized.
            recipe: What to build.
            evidence: Statistics of the fp32 model, of the equalized one where the recipe says so.

        Raises:
            EngineError: If the recipe asks for what this engine does not do.
        """
        quantized = quantize_graph(model.proto(), recipe, evidence, self._moments)
        return save_model(quantized, self._folder / f"{recipe.id}.onnx")


def quantize_graph(
    model: onnx.ModelProto,
    recipe: Recipe,
    statistics: CalibrationStatistics,
    moments: Mapping[str, SecondMoments] | None = None,
) -> onnx.ModelProto:
    """Return the quantized graph of a recipe; see ``NativeBuilder.build``."""
    _check(recipe, moments)
    source = (
        equalized(model)
        if EQUALIZATION in recipe.corrections
        else onnx.ModelProto.FromString(model.SerializeToString())
    )
    op_types = tuple(sorted(set(QUANTIZABLE) - set(recipe.float_op_types)))
    activations = activation_grids(source, recipe, statistics)
    weights: dict[str, WeightGrid] = {}
    if recipe.weight_type == "int8":
        excluded = set(recipe.float_nodes)
        for layer in list(layers(source)):
            if layer.op_type in op_types and layer.node not in excluded and layer.input in activations:
                weights[layer.weight] = _quantize_weights(source, layer, recipe, statistics, moments, activations)
    quantized = insert_qdq(source, recipe, op_types, activations, weights)
    guard_float_layers(quantized)
    return quantized


def _check(recipe: Recipe, moments: Mapping[str, SecondMoments] | None) -> None:
    unknown = sorted(set(recipe.corrections) - set(CORRECTIONS))
    if unknown:
        raise EngineError(
            "the native engine has no such correction", found=", ".join(unknown), expected=", ".join(CORRECTIONS)
        )
    if recipe.weight_type != "int8" and recipe.corrections:
        raise EngineError("corrections need weights of type int8", found=f"weight type {recipe.weight_type}")
    if ROUNDING in recipe.corrections and moments is None:
        raise ValueError("the correction 'rounding' needs the layers' second moments")


def _quantize_weights(
    model: onnx.ModelProto,
    layer: Layer,
    recipe: Recipe,
    statistics: CalibrationStatistics,
    moments: Mapping[str, SecondMoments] | None,
    activations: Mapping[str, Grid],
) -> WeightGrid:
    """Put a layer's weights on their grid, correct its bias, and return the grid."""
    values = arrays(model)
    weights = values[layer.weight]
    rows = layer.rows(weights)
    level = greatest_level(reduce_range=recipe.reduce_range)
    channels = rows if recipe.per_channel else rows.reshape(1, -1)
    measure = scales_by_mse if WEIGHT_MSE in recipe.corrections else scales_by_maximum
    scales = np.broadcast_to(measure(channels, level), (len(rows),)).copy()
    if layer.bias is not None:
        scales = _wide_enough(
            scales, values[layer.bias], activations[layer.input].scale, per_channel=recipe.per_channel
        )
    if ROUNDING in recipe.corrections and moments is not None and layer.node in moments:
        found = moments[layer.node]
        matrix = found.central() if BIAS in recipe.corrections else found.raw()
        levels = least_squares_levels(rows, scales, matrix, level)
    else:
        levels = nearest_levels(rows, scales, level)
    placed = levels * scales[:, None]
    replace_initializer(model, layer.weight, layer.shaped(placed, weights.shape))
    means = statistics.tensors[layer.input].means if layer.input in statistics.tensors else None
    if BIAS in recipe.corrections and means is not None:
        _shift_bias(model, layer, bias_shift(layer, rows - placed, means.mean()), values)
    if recipe.per_channel:
        return WeightGrid(axis=layer.channel_axis, scales=scales)
    return WeightGrid(axis=None, scales=scales[:1])


def _wide_enough(
    scales: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], input_scale: float, *, per_channel: bool
) -> npt.NDArray[np.float32]:
    """Return scales at which the bias, in units of ``input_scale * scale``, fits into int32 with room to spare."""
    least = np.abs(bias).astype(np.float64) * 4 / _INT32 / input_scale
    return np.maximum(scales, least if per_channel else least.max()).astype(np.float32)


def _shift_bias(
    model: onnx.ModelProto, layer: Layer, shift: npt.NDArray[np.float64], values: Mapping[str, npt.NDArray[np.float32]]
) -> None:
    if layer.bias is not None:
        replace_initializer(model, layer.bias, (values[layer.bias] + shift).astype(np.float32))
        return
    node = next(node for node in model.graph.node if node.name == layer.node)
    if layer.op_type == "MatMul" or len(node.input) > 2:
        return
    name = f"{layer.weight}:corrected_bias"
    replace_initializer(model, name, shift.astype(np.float32))
    node.input.append(name)
