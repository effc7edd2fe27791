"""Smoothing: outlier channels of a normalization or a Conv go into the weights of the products that read it.

G. Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models", ICML 2023.
A LayerNormalization gives every channel a scale of its own, and trained transformers have channels that are many times
as large as the others: on one grid these others have few steps. So each channel is divided by a factor in the
normalization's scale and bias, and multiplied by it in the weights of the products, which have a grid for each output.

A Conv before products is the same: its channels have ranges of their own, too, above all those of a depthwise Conv that
no activation follows, and its weights have a grid for each. In front of a depthwise Conv, factors cost nothing at all.

The factors balance both sides by an exponent, ``activation ** exponent / weight ** (1 - exponent)``. The exponent is
chosen for each tensor: the one at which the rounding of its output and of the weights together change the
products least. The factors are powers of the root of two, so that a recipe holds each as one letter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from quantize.calibration.channel_ranges import ChannelRanges
from quantize.engines.native.builder.smoothable import Smoothable, smoothable
from quantize.graph.view import Graph
from quantize.recipe import Recipe

SMOOTHING = "smoothing"
"""The correction, and the recipe's detail that holds its factors: by tensor a letter a channel, powers of the root of
two from ``a``, 1/64, over ``m``, 1, to ``y``, 64."""

_EXPONENTS = (0.25, 0.4, 0.5, 0.6, 0.75, 1.0)
_ONE, _MOST, _A_DOUBLING = ord("m"), 12, 2
_LEVELS, _WEIGHT_LEVEL = 255, 127
_WORTH = 0.5
"""How much of the error that rounding makes may be left, by the formula."""

Channels = npt.NDArray[np.float64]


def smoothing_factors(model: onnx.ModelProto, ranges: Mapping[str, ChannelRanges]) -> str:
    """Return the factors of every tensor that gains from some, as the recipe's detail: JSON text.

    None gets any where all together gain little: it takes a second calibration to try them.

    Args:
        model: The fp32 model.
        ranges: Of the tensors of ``smoothable(model)``.
    """
    graph = Graph.of(model)
    chosen = {}
    before = after = 0.0
    for smooth in smoothable(model):
        taken = _by_channel(graph, smooth)
        powers, *errors = _best_powers(ranges[smooth.tensor], taken)
        signal = sum(float((each.sizes**2 * ranges[smooth.tensor].squares).sum()) for each in taken)
        if powers.any():
            chosen[smooth.tensor] = "".join(chr(_ONE + power) for power in powers)
        if signal > 0:
            before, after = before + errors[0] / signal, after + errors[1] / signal
    if after > _WORTH * before:
        chosen = {}
    return json.dumps(chosen, separators=(",", ":"), sort_keys=True)


def with_smoothing(recipe: Recipe, factors: str) -> Recipe:
    """Return a recipe with this correction, before all others, and its factors."""
    details = dict(recipe.details) | {SMOOTHING: factors}
    return recipe.but(corrections=(SMOOTHING, *recipe.corrections), details=tuple(sorted(details.items())))


def smoothed(model: onnx.ModelProto, recipe: Recipe) -> onnx.ModelProto:
    """Return the same function, smoothed by the factors of a recipe that has this correction."""
    factors: dict[str, str] = json.loads(dict(recipe.details)[SMOOTHING])
    graph = Graph(model)
    nodes = {node.name: node for node in graph.nodes}
    for smooth in smoothable(model):
        if smooth.tensor not in factors:
            continue
        powers = np.array([ord(letter) - _ONE for letter in factors[smooth.tensor]])
        scale = np.exp2(powers / _A_DOUBLING).astype(np.float32)
        for name, position, axis in smooth.parameters:
            tensor = nodes[name].input[position]
            values = graph.constant(tensor)
            assert values is not None
            divided = values / _along(scale, axis, values.ndim)
            if nodes[name].op_type == "Conv":  # whose constants are its own
                graph.set_constant(tensor, divided)
            else:  # a constant may be that of other normalizations too
                graph.set_input(nodes[name], position, graph.add_constant(f"{tensor}_smoothed", divided))
        for layer, axis in smooth.products:
            weights = graph.constant(layer.weight)
            assert weights is not None
            graph.set_constant(layer.weight, weights * _along(scale, axis, weights.ndim))
    return graph.model()


@dataclass(frozen=True, eq=False)
class _Taken:
    """The weights of a product, by the channel that they are applied to.

    Attributes:
        sizes: (outputs, channels): the root of the sum of squares over a kernel: a factor moves the whole kernel.
        apart: Each output reads the channel of its own (depthwise): (1, channels).
    """

    sizes: Channels
    apart: bool


def _by_channel(graph: Graph, smooth: Smoothable) -> list[_Taken]:
    taken = []
    for layer, axis in smooth.products:
        weights = graph.constant(layer.weight)
        assert weights is not None
        apart = axis == layer.channel_axis
        if apart:
            moved = weights.astype(np.float64)[None]
        else:
            moved = np.moveaxis(weights.astype(np.float64), (layer.channel_axis, axis), (0, 1))
        taken.append(_Taken(np.sqrt(np.square(moved.reshape(*moved.shape[:2], -1)).sum(axis=2)), apart))
    return taken


def _best_powers(ranges: ChannelRanges, weights: list[_Taken]) -> tuple[npt.NDArray[np.int64], float, float]:
    """Return the powers of the root of two, (channels,), at which rounding changes the products least.

    And the mean squares by which it changes them without, and with these powers.
    """
    activation = np.maximum(np.abs(ranges.lowest), np.abs(ranges.highest))
    weight = np.max([taken.sizes.max(axis=0) for taken in weights], axis=0)
    usable = (activation > 0) & (weight > 0)
    best = np.zeros(len(activation), np.int64)
    before = least = _error(ranges, weights, np.ones(len(activation)))
    # Where weights pay nothing, each channel gets the whole grid.
    for exponent in (1.0,) if all(taken.apart for taken in weights) else _EXPONENTS:
        powers = np.zeros(len(activation), np.int64)
        if usable.any():
            wanted = exponent * np.log2(activation[usable]) - (1 - exponent) * np.log2(weight[usable])
            powers[usable] = np.clip(np.rint(_A_DOUBLING * (wanted - np.median(wanted))), -_MOST, _MOST)
        error = _error(ranges, weights, np.exp2(powers / _A_DOUBLING))
        if error < least:
            best, least = powers, error
    return best, before, least


def _error(ranges: ChannelRanges, weights: list[_Taken], factors: Channels) -> float:
    """Return the mean square by which rounding to grids of 8 bits changes the products, summed over their outputs."""
    lowest = min(float((ranges.lowest / factors).min()), 0.0)
    highest = max(float((ranges.highest / factors).max()), 0.0)
    step = (highest - lowest) / _LEVELS
    squares = float((ranges.squares / factors**2).sum())
    total = 0.0
    for taken in weights:
        scaled = taken.sizes * factors
        total += step**2 / 12 * float(np.square(scaled).sum())
        if not taken.apart:  # else the grid of each output goes with its one factor
            steps = scaled.max(axis=1) / _WEIGHT_LEVEL
            total += float(np.square(steps).sum()) / 12 * squares
    return total


def _along(values: npt.NDArray[np.float32], axis: int, rank: int) -> npt.NDArray[np.float32]:
    return values.reshape([-1 if at == axis % rank else 1 for at in range(rank)])
