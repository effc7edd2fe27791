"""Round a model's weights to their grids, with the recipe's corrections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from quantize.calibration.second_moments import SecondMoments
from quantize.calibration.statistics import CalibrationStatistics
from quantize.engines.native.builder.bias_correction import BiasPlaces, bias_shift
from quantize.engines.native.builder.constants import Constants
from quantize.engines.native.builder.kept import Kept
from quantize.engines.native.builder.kept_scales import digest_of
from quantize.engines.native.builder.layers import Layer, layers
from quantize.engines.native.builder.rounding import least_squares_levels
from quantize.engines.native.builder.rounding_problem import RoundingProblem
from quantize.engines.native.builder.smoothing import SMOOTHING
from quantize.engines.native.builder.weight_scales import (
    WEIGHT_MSE,
    Floats,
    greatest_level,
    is_narrow,
    nearest_levels,
    with_room_for_bias,
)
from quantize.formats.float_weights import StoredWeights, stored
from quantize.formats.given_grids import grids_of
from quantize.graph.shell import without_constants
from quantize.grid.grid import Grid
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

EQUALIZATION, ROUNDING, BIAS, SCORES = "equalization", "rounding", "bias", "scores"
CORRECTIONS = (SMOOTHING, EQUALIZATION, WEIGHT_MSE, ROUNDING, BIAS, SCORES)
"""Every correction, in the order in which they are applied."""

Moments = Callable[[], Mapping[str, SecondMoments]]
"""Returns the second moments of layers' inputs, by node."""


@dataclass(frozen=True)
class QuantizedWeights:
    """A model whose weights are rounded to their grids but still stored as float32.

    Attributes:
        model: The model; layers that stay in fp32 are untouched, unless they are stored in int8.
        grids: Grids by initializer, of layers in int8.
        added_biases: (node, constant) for layers that got a bias by correction: an initializer of the model, or for a
            MatMul, whose bias is the Add behind it, one of ``shifts``.
        stored: By initializer, weights that are stored in int8 and computed in fp32.
        shifts: By name, what correction added to the biases of MatMuls.
    """

    model: onnx.ModelProto
    grids: Mapping[str, Grid]
    added_biases: Mapping[str, str]
    stored: Mapping[str, StoredWeights] = field(default_factory=dict)
    shifts: Mapping[str, onnx.TensorProto] = field(default_factory=dict)

    def changed(self, source: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
        """Return the initializers that differ from those of the fp32 model, and ``shifts``, by name."""
        original = {tensor.name: tensor for tensor in source.graph.initializer}
        return {
            tensor.name: tensor for tensor in self.model.graph.initializer if original.get(tensor.name) != tensor
        } | dict(self.shifts)


class WeightQuantizer:
    """Rounds weights, and remembers the result: candidates differ in few layers."""

    def __init__(
        self,
        moments: Moments | None = None,
        kept: Kept | None = None,
        progress: Progress = silent,
    ) -> None:
        """Set up.

        Args:
            moments: Returns the second moments that the correction ``rounding`` needs.
            kept: Keeps what takes long, also for other quantizers; None: for this one, all of it.
            progress: Called after every layer whose weights took a rounding problem.
        """
        self._moments = moments
        self._kept = Kept() if kept is None else kept
        self._progress = progress

    def release(self) -> None:
        """Free the layers' rounding problems, which take much memory; rounded weights are kept."""
        self._kept.problems.forget(self)

    def quantize(
        self,
        model: onnx.ModelProto,
        recipe: Recipe,
        op_types: tuple[str, ...],
        activations: Mapping[str, Grid],
        statistics: CalibrationStatistics,
    ) -> QuantizedWeights:
        """Return ``model`` with the weights of all layers that the recipe quantizes or stores in int8 rounded.

        Args:
            model: The fp32 model, equalized where the recipe says so; not changed.
            recipe: Corrections and exclusions; weights of type int8.
            op_types: Op types that are quantized.
            activations: Grids by tensor.
            statistics: Of ``model``.
        """
        result, originals, constants = without_constants(model), Constants.of(model), Constants.of(model)
        given = grids_of(model)
        grids: dict[str, Grid] = {}
        stored_weights: dict[str, StoredWeights] = {}
        added: dict[str, str] = {}
        shifts: dict[str, onnx.TensorProto] = {}
        places = BiasPlaces(model, list(result.graph.node), constants)
        for layer in layers(model):
            is_stored = layer.node in recipe.stored_nodes
            is_int8 = layer.op_type in op_types and layer.node not in recipe.float_nodes and layer.input in activations
            if not is_stored and not is_int8:
                continue
            weights = originals.values_of(layer.weight)
            kept = given.get(layer.weight)
            if kept is not None and not is_stored and _is_on(kept, layer, weights):
                grids[layer.weight] = kept
                continue
            rows = layer.rows(weights)
            bias = originals.values_of(layer.bias) if layer.bias is not None else None
            digest = digest_of(rows)
            saturates = partial(self._kept.scales.saturates, digest=digest)
            level = greatest_level(reduce_range=not is_stored and is_narrow(layer, rows, recipe, saturates))
            scales = self._kept.scales.of(rows, digest, level, recipe)
            if not is_stored and bias is not None:  # a layer that computes in fp32 has a bias in fp32
                scales = with_room_for_bias(scales, bias, activations[layer.input].scale, recipe)
            means = _input_means(layer, weights, statistics)
            is_shifted = BIAS in recipe.corrections and means is not None and places.has_one(layer)
            on_grid = self._rounded(layer, rows, digest, scales, level, recipe, central=is_shifted)
            on_grid *= scales[:, None]
            shift = bias_shift(layer, rows, on_grid, means) if is_shifted and means is not None else None
            shaped = layer.shaped(on_grid, weights.shape)
            del weights, rows, on_grid  # of a large layer, each takes half a gigabyte
            constants.replace(layer.weight, shaped)
            axis = layer.channel_axis if recipe.per_channel else None
            of_channels = scales if recipe.per_channel else scales[:1]
            if is_stored:
                stored_weights[layer.weight] = stored(shaped, of_channels, layer.channel_axis)
            else:
                scale = of_channels if axis is not None else of_channels.reshape(())
                grids[layer.weight] = Grid(scale, np.zeros_like(scale, np.int8), axis)
            if shift is None:
                continue
            name = places.shift(layer, shift)
            if name is not None:
                added[layer.node] = name
            if layer.op_type == "MatMul" and name is not None:
                shifts[name] = numpy_helper.from_array(shift.astype(np.float32), name)
        result.graph.initializer.extend(constants.values())
        return QuantizedWeights(result, grids, added, stored_weights, shifts)

    def _rounded(
        self, layer: Layer, rows: Floats, digest: str, scales: Floats, level: int, recipe: Recipe, *, central: bool
    ) -> Floats:
        moments = self._moments() if self._moments is not None and ROUNDING in recipe.corrections else {}
        if layer.node not in moments:
            return nearest_levels(rows, scales, level)
        # With the mean's change taken up by the bias, only the deviations from the mean are left to be minimized.
        key = (self, layer.node, digest, scales.tobytes(), level, central)
        kept = self._kept.levels.of(key)
        if kept is not None:
            return kept.astype(np.float32)
        levels = least_squares_levels(rows, scales, self._problem(moments, layer.node, central=central), level)
        self._kept.levels.keep(key, levels.astype(np.int8))
        self._progress("round weights", len(self._kept.levels), None)
        return levels

    def _problem(self, moments: Mapping[str, SecondMoments], node: str, *, central: bool) -> RoundingProblem:
        def made() -> RoundingProblem:
            of_node = moments[node]
            return RoundingProblem.of(of_node.central() if central else of_node.raw())

        return self._kept.problems.of(self, (node, central), made)


def _input_means(layer: Layer, weights: Floats, statistics: CalibrationStatistics) -> npt.NDArray[np.float64] | None:
    """Return the means of a layer's input by channel; None where those are not known, or are of another axis."""
    tensor = statistics.tensors.get(layer.input)
    if tensor is None or tensor.means is None:
        return None
    means = tensor.means.mean()
    channels = layer.group * weights.shape[1] if layer.op_type == "Conv" else layer.rows(weights).shape[1]
    return means if means.size == channels else None


def _is_on(grid: Grid, layer: Layer, weights: Floats) -> bool:
    """Return whether weights lie on a grid that integer layers can have: int8 around zero, one scale or one a channel.

    They do as long as nothing was folded into them.
    """
    if grid.zero_point.dtype != np.int8 or grid.zero_point.any() or grid.axis not in (None, layer.channel_axis):
        return False
    return bool(np.allclose(grid.placed(weights), weights, rtol=1e-5, atol=0.0))
