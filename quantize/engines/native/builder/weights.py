"""Putting a model's weights on their grids, with the recipe's corrections."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx

from quantize.calibration.second_moments import SecondMoments
from quantize.calibration.statistics import CalibrationStatistics
from quantize.engines.native.builder.bias import bias_shift
from quantize.engines.native.builder.layers import Layer, arrays, layers, replace_initializer
from quantize.engines.native.builder.rounding import RoundingProblem, least_squares_levels
from quantize.engines.native.builder.weight_scales import (
    greatest_level,
    nearest_levels,
    scales_by_maximum,
    scales_by_mse,
)
from quantize.formats.float_weights import StoredWeights, stored
from quantize.formats.saturation import can_saturate
from quantize.grid.grid import Grid
from quantize.recipe import Recipe

NARROW_WHERE_NEEDED = "narrow_where_needed"
"""Recipe detail, "true" or absent: with ``reduce_range``, layers that cannot saturate keep weights of 8 bits."""

EQUALIZATION, WEIGHT_MSE, ROUNDING, BIAS, SCORES = "equalization", "weight_mse", "rounding", "bias", "scores"
CORRECTIONS = (EQUALIZATION, WEIGHT_MSE, ROUNDING, BIAS, SCORES)
"""Every correction, in the order in which they are applied."""

Floats = npt.NDArray[np.float32]
_INT32 = float(2**31 - 1)


@dataclass(frozen=True)
class Placement:
    """A model whose weights lie on their grids but are still stored as float32.

    Attributes:
        model: The model; layers that stay in fp32 are untouched, unless they are stored in int8.
        grids: Grids by initializer, of layers in int8.
        added_biases: (node, initializer) for layers that got a bias by correction.
        stored: By initializer, weights that are stored in int8 and computed in fp32.
    """

    model: onnx.ModelProto
    grids: Mapping[str, Grid]
    added_biases: Mapping[str, str]
    stored: Mapping[str, StoredWeights] = field(default_factory=dict)


class WeightPlacer:
    """Places weights, and remembers what was rounded: candidates differ in few layers."""

    def __init__(self, moments: Mapping[str, SecondMoments] | None = None) -> None:
        """Set up with the second moments by node that the correction ``rounding`` needs."""
        self._moments = moments or {}
        self._levels: dict[tuple[str, str, int, bool], npt.NDArray[np.int8]] = {}
        self._problems: dict[tuple[str, bool], RoundingProblem] = {}

    def use(self, moments: Mapping[str, SecondMoments]) -> None:
        """Take second moments by node from now on."""
        self._moments = moments

    def release(self) -> None:
        """Let go of the layers' rounding problems, which take much memory; what was rounded stays."""
        self._problems.clear()

    def place(
        self,
        model: onnx.ModelProto,
        recipe: Recipe,
        op_types: tuple[str, ...],
        activations: Mapping[str, Grid],
        statistics: CalibrationStatistics,
    ) -> Placement:
        """Return ``model`` with the weights of all layers that the recipe quantizes or stores in int8 on their grids.

        Args:
            model: The fp32 model, equalized where the recipe says so; not changed.
            recipe: Corrections and exclusions; weights of type int8.
            op_types: Op types that are quantized.
            activations: Grids by tensor.
            statistics: Of ``model``.
        """
        placed = onnx.ModelProto()
        placed.CopyFrom(model)
        values = arrays(placed)
        grids: dict[str, Grid] = {}
        stored_weights: dict[str, StoredWeights] = {}
        added: dict[str, str] = {}
        for layer in list(layers(placed)):
            is_stored = layer.node in recipe.stored_nodes
            is_int8 = layer.op_type in op_types and layer.node not in recipe.float_nodes and layer.input in activations
            if not is_stored and not is_int8:
                continue
            weights = values[layer.weight]
            rows = layer.rows(weights)
            bias = values[layer.bias] if layer.bias is not None else None
            level = greatest_level(reduce_range=not is_stored and is_narrow(layer, rows, recipe))
            # A layer that computes in fp32 has a bias in fp32, whatever its weights' scales.
            least = None if is_stored or bias is None else _least_scales(bias, activations[layer.input].scale)
            scales = _scales(rows, level, least, recipe)
            on_grid = self._rounded(layer, rows, scales, level, recipe) * scales[:, None]
            shaped = layer.shaped(on_grid, weights.shape)
            replace_initializer(placed, layer.weight, shaped)
            axis = layer.channel_axis if recipe.per_channel else None
            of_channels = scales if recipe.per_channel else scales[:1]
            if is_stored:
                stored_weights[layer.weight] = stored(shaped, of_channels, layer.channel_axis)
            else:
                scale = of_channels if axis is not None else of_channels.reshape(())
                grids[layer.weight] = Grid(scale, np.zeros_like(scale, np.int8), axis)
            means = statistics.tensors[layer.input].means if layer.input in statistics.tensors else None
            if BIAS in recipe.corrections and means is not None:
                name = _shift_bias(placed, layer, bias, bias_shift(layer, rows - on_grid, means.mean()))
                if name is not None:
                    added[layer.node] = name
        return Placement(placed, grids, added, stored_weights)

    def _rounded(self, layer: Layer, rows: Floats, scales: Floats, level: int, recipe: Recipe) -> Floats:
        if ROUNDING not in recipe.corrections or layer.node not in self._moments:
            return nearest_levels(rows, scales, level)
        # With the mean's change taken up by the bias, only the deviations from the mean are left to be minimized.
        central = BIAS in recipe.corrections
        key = (layer.node, hashlib.sha256(rows.tobytes() + scales.tobytes()).hexdigest(), level, central)
        if key not in self._levels:
            found = least_squares_levels(rows, scales, self._problem(layer.node, central=central), level)
            self._levels[key] = found.astype(np.int8)
        return self._levels[key].astype(np.float32)

    def _problem(self, node: str, *, central: bool) -> RoundingProblem:
        if (node, central) not in self._problems:
            moments = self._moments[node]
            self._problems[node, central] = RoundingProblem.of(moments.central() if central else moments.raw())
        return self._problems[node, central]


def is_narrow(layer: Layer, rows: Floats, recipe: Recipe) -> bool:
    """Return whether a layer in int8 gets weights of 7 bits.

    Where the recipe says so, only a layer whose products can saturate at 8 bits does; a layer of uint8 weights never.

    Args:
        layer: The layer.
        rows: float32 (output channels, inputs of one), its weights.
        recipe: The recipe.
    """
    if not recipe.reduce_range or layer.node in recipe.uint8_nodes:
        return False
    if dict(recipe.details).get(NARROW_WHERE_NEEDED) != "true":
        return True
    if rows.shape[1] < 2 or (layer.group == len(rows) and rows.shape[1] == math.prod(layer.kernel)):
        return False  # depthwise layers have a kernel that adds in 32 bits
    level = greatest_level(reduce_range=False)
    return can_saturate(nearest_levels(rows, scales_by_maximum(rows, level), level).astype(np.int8))


def narrow_layers(model: onnx.ModelProto, recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the layers in int8 that a recipe gives weights of 7 bits, in the graph's order."""
    values = arrays(model)
    return tuple(
        layer.node
        for layer in layers(model)
        if layer.node not in recipe.float_nodes and is_narrow(layer, layer.rows(values[layer.weight]), recipe)
    )


def _scales(rows: Floats, level: int, least: npt.NDArray[np.float64] | None, recipe: Recipe) -> Floats:
    channels = rows if recipe.per_channel else rows.reshape(1, -1)
    measure = scales_by_mse if WEIGHT_MSE in recipe.corrections else scales_by_maximum
    scales = np.broadcast_to(measure(channels, level), (len(rows),)).copy()
    if least is None:
        return scales
    return np.maximum(scales, least if recipe.per_channel else least.max()).astype(np.float32)


def _least_scales(bias: Floats, input_scale: Floats) -> npt.NDArray[np.float64]:
    """Return float64 (channels,), the least scales of weights with which the bias fits in 32 bits.

    It is stored as int32 in units of ``input_scale * scale``, and must fit in with room to spare.
    """
    return np.abs(bias).astype(np.float64) * 4 / _INT32 / input_scale


def _shift_bias(
    model: onnx.ModelProto, layer: Layer, bias: Floats | None, shift: npt.NDArray[np.float64]
) -> str | None:
    """Add a shift to a layer's bias; return the new initializer's name where there was no bias."""
    if layer.bias is not None and bias is not None:
        replace_initializer(model, layer.bias, (bias + shift).astype(np.float32))
        return None
    node = next(node for node in model.graph.node if node.name == layer.node)
    if layer.op_type == "MatMul" or len(node.input) > 2:
        return None
    name = f"{layer.weight}:corrected_bias"
    replace_initializer(model, name, shift.astype(np.float32))
    node.input.append(name)
    return name
