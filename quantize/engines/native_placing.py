"""Putting a model's weights on their grids, with the recipe's corrections."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from quantize.calibration.grid import Grid
from quantize.calibration.second_moments import SecondMoments
from quantize.calibration.statistics import CalibrationStatistics
from quantize.engines.native_bias import bias_shift
from quantize.engines.native_layers import Layer, arrays, layers, replace_initializer
from quantize.engines.native_qdq import WeightGrid
from quantize.engines.native_rounding import RoundingProblem, least_squares_levels
from quantize.engines.native_weights import greatest_level, nearest_levels, scales_by_maximum, scales_by_mse
from quantize.recipe import Recipe

EQUALIZATION, WEIGHT_MSE, ROUNDING, BIAS, SCORES = "equalization", "weight_mse", "rounding", "bias", "scores"
CORRECTIONS = (EQUALIZATION, WEIGHT_MSE, ROUNDING, BIAS, SCORES)
"""Every correction, in the order in which they are applied."""

Floats = npt.NDArray[np.float32]
_INT32 = float(2**31 - 1)


@dataclass(frozen=True)
class Placement:
    """A model whose weights lie on their grids but are still stored as float32.

    Attributes:
        model: The model; layers that stay in fp32 are untouched.
        grids: Grids by initializer.
        added_biases: (node, initializer) for layers that got a bias by correction.
    """

    model: onnx.ModelProto
    grids: Mapping[str, WeightGrid]
    added_biases: Mapping[str, str]


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
        """Return ``model`` with the weights of all layers that the recipe quantizes on their grids.

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
        grids: dict[str, WeightGrid] = {}
        added: dict[str, str] = {}
        for layer in list(layers(placed)):
            if layer.op_type not in op_types or layer.node in recipe.float_nodes or layer.input not in activations:
                continue
            weights = values[layer.weight]
            rows = layer.rows(weights)
            bias = values[layer.bias] if layer.bias is not None else None
            scales = _scales(rows, bias, activations[layer.input].scale, recipe)
            on_grid = self._rounded(layer, rows, scales, recipe) * scales[:, None]
            replace_initializer(placed, layer.weight, layer.shaped(on_grid, weights.shape))
            axis = layer.channel_axis if recipe.per_channel else None
            grids[layer.weight] = WeightGrid(axis, scales if recipe.per_channel else scales[:1])
            means = statistics.tensors[layer.input].means if layer.input in statistics.tensors else None
            if BIAS in recipe.corrections and means is not None:
                name = _shift_bias(placed, layer, bias, bias_shift(layer, rows - on_grid, means.mean()))
                if name is not None:
                    added[layer.node] = name
        return Placement(placed, grids, added)

    def _rounded(self, layer: Layer, rows: Floats, scales: Floats, recipe: Recipe) -> Floats:
        level = greatest_level(reduce_range=recipe.reduce_range)
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


def _scales(rows: Floats, bias: Floats | None, input_scale: float, recipe: Recipe) -> Floats:
    level = greatest_level(reduce_range=recipe.reduce_range)
    channels = rows if recipe.per_channel else rows.reshape(1, -1)
    measure = scales_by_mse if WEIGHT_MSE in recipe.corrections else scales_by_maximum
    scales = np.broadcast_to(measure(channels, level), (len(rows),)).copy()
    if bias is None:
        return scales
    # The bias is stored as int32 in units of input_scale * scale, and must fit in with room to spare.
    least = np.abs(bias).astype(np.float64) * 4 / _INT32 / input_scale
    return np.maximum(scales, least if recipe.per_channel else least.max()).astype(np.float32)


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
