"""Scales of a layer's weights: by the largest weight, or by the least squared error."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx

from quantize.engines.native.builder.layers import Layer, arrays, layers
from quantize.formats.bias_room import least_weight_scale
from quantize.formats.saturation import can_saturate
from quantize.grid.grid import usable_scale
from quantize.grid.parts import in_parts
from quantize.recipe import Recipe

NARROW_WHERE_NEEDED = "narrow_where_needed"
"""Recipe detail, "true" or absent: with ``reduce_range``, layers that cannot saturate keep weights of 8 bits."""

WEIGHT_MSE = "weight_mse"
"""The correction that chooses scales by the least squared error."""

Floats = npt.NDArray[np.float32]

_TOGETHER = 1 << 17
"""Weights whose scales are looked for at a time: what a CPU's caches hold."""
# Coarse steps find what is worth clipping; the fine ones around 1 find the grid that the weights happen to lie on.
_SHARES = np.concatenate([np.linspace(1.0, 1.02, 21), np.linspace(0.999, 0.98, 20), np.linspace(0.97, 0.6, 38)])


def weight_scales(rows: Floats, level: int, recipe: Recipe) -> Floats:
    """Return float32 (output channels,), the scales of a layer's weights, all equal where the recipe says per tensor.

    Args:
        rows: (output channels, inputs of one), the weights.
        level: The level of the greatest weight.
        recipe: Per channel or per tensor, and by which measure.
    """
    channels = rows if recipe.per_channel else rows.reshape(1, -1)
    measure = scales_by_mse if WEIGHT_MSE in recipe.corrections else scales_by_maximum
    return np.broadcast_to(measure(channels, level), (len(rows),)).copy()


def with_room_for_bias(scales: Floats, bias: Floats, input_scale: Floats, recipe: Recipe) -> Floats:
    """Return the scales of weights, raised where the bias does not fit in 32 bits with room to spare.

    It is stored as int32 in units of ``input_scale * scale``.
    """
    least = least_weight_scale(bias, input_scale)
    return np.maximum(scales, least if recipe.per_channel else least.max()).astype(np.float32)


def greatest_level(*, reduce_range: bool) -> int:
    """Return the level of the greatest weight: 127, or 63 for CPUs whose int8 products saturate."""
    return 63 if reduce_range else 127


def scales_by_maximum(rows: Floats, level: int) -> Floats:
    """Return float32 (channels,), the scales at which the greatest weight of a channel takes ``level``."""
    return usable_scale(np.abs(rows).max(axis=1) / level)


def scales_by_mse(rows: Floats, level: int) -> Floats:
    """Return float32 (channels,), the scales with the least squared error of the rounded weights.

    Scales from 0.6 to 1.02 of those by the maximum are tried; below 1 the greatest weights are clipped.
    """
    parts = [_by_mse(rows[part], level) for part in in_parts(rows, _TOGETHER)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _by_mse(rows: Floats, level: int) -> Floats:
    widest = scales_by_maximum(rows, level)
    best, least = widest, np.full(len(rows), np.inf)
    for share in _SHARES:
        scales = usable_scale(widest * share)
        change = nearest_levels(rows, scales, level)
        change *= scales[:, None]
        change -= rows
        error = np.square(change, out=change).sum(axis=1, dtype=np.float64)
        best, least = np.where(error < least, scales, best), np.minimum(error, least)
    return best.astype(np.float32)


def nearest_levels(rows: Floats, scales: Floats, level: int) -> Floats:
    """Return the weights in whole levels, each rounded to the nearest."""
    levels = rows / scales[:, None]
    np.rint(levels, out=levels)
    return np.clip(levels, -level, level, out=levels)


def saturates(rows: Floats) -> bool:
    """Return whether a layer's products can saturate with weights of 8 bits; ``rows`` as for ``weight_scales``."""
    level = greatest_level(reduce_range=False)
    return can_saturate(nearest_levels(rows, scales_by_maximum(rows, level), level).astype(np.int8))


def is_narrow(layer: Layer, rows: Floats, recipe: Recipe, saturates: Callable[[Floats], bool] = saturates) -> bool:
    """Return whether a layer in int8 gets weights of 7 bits.

    Where the recipe says so, only a layer whose products can saturate at 8 bits does; a layer of uint8 weights never.

    Args:
        layer: The layer.
        rows: float32 (output channels, inputs of one), its weights.
        recipe: The recipe.
        saturates: Says what ``saturates`` does.
    """
    if not recipe.reduce_range or layer.node in recipe.uint8_nodes:
        return False
    if dict(recipe.details).get(NARROW_WHERE_NEEDED) != "true":
        return True
    if rows.shape[1] < 2 or (layer.group == len(rows) and rows.shape[1] == math.prod(layer.kernel)):
        return False  # depthwise layers have a kernel that adds in 32 bits
    return saturates(rows)


def narrow_layers(model: onnx.ModelProto, recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the layers in int8 that a recipe gives weights of 7 bits, in the graph's order."""
    values = arrays(model)
    return tuple(
        layer.node
        for layer in layers(model)
        if layer.node not in recipe.float_nodes and is_narrow(layer, layer.rows(values[layer.weight]), recipe)
    )
