"""The grid of every activation tensor, by the recipe's range rules."""

from __future__ import annotations

from collections import Counter
from functools import partial

import onnx

from quantize.calibration.statistics import CalibrationStatistics, TensorStatistics
from quantize.formats.given_grids import as_type, grids_of
from quantize.graph.nodes import ACTIVATIONS, reads
from quantize.grid.grid import Grid
from quantize.grid.histogram import Histogram
from quantize.grid.ranges.registry import range_of
from quantize.recipe import Recipe

COMMON_SCALES = "common-scales"
"""Name of the rewrite with which a Concat and its inputs share a grid."""

COMMON_GRIDS = "common_grids"
"""Recipe detail, "true" or absent: they share one whether or not the rewrite is applied here or later."""

_SAME_GRID = frozenset({"MaxPool"})


Ranges = dict[tuple[object, ...], tuple[float, float]]
"""Ranges of tensors by rule, of one calibration: candidates differ in few of them, so they are computed once."""


def activation_grids(
    model: onnx.ModelProto,
    recipe: Recipe,
    statistics: CalibrationStatistics,
    known: Ranges | None = None,
) -> dict[str, Grid]:
    """Return the grid of every tensor that the calibration pass saw.

    With the rewrite ``common-scales`` or the detail ``common_grids``, a Concat's output and inputs get one grid, that
    of the output: its values are theirs side by side, so its histogram is the sum of theirs. A grid that the model was
    given with is kept.

    Args:
        model: The fp32 graph that the statistics are of.
        recipe: Range rules and the type of activations.
        statistics: Of all tensors.
        known: Ranges that were computed from these statistics before; new ones are added.
    """
    grid_of = partial(Grid.covering, activation_type=recipe.activation_type, symmetric=recipe.symmetric_activations)
    own_rules = dict(recipe.range_rules)
    ranges: Ranges = {} if known is None else known

    def grid(names: tuple[str, ...], tensor: TensorStatistics, rule: str) -> Grid:
        key = (names, rule, recipe.activation_type, recipe.symmetric_activations)
        if key not in ranges:
            ranges[key] = range_of(tensor, rule, grid_of)
        return grid_of(*ranges[key])

    absorbed = _absorbed(model, recipe)
    grids: dict[str, Grid] = {}
    if COMMON_SCALES in recipe.rewrites or dict(recipe.details).get(COMMON_GRIDS) == "true":
        for group, pooled in _concat_groups(model, statistics):
            rule = next((own_rules[name] for name in group if name in own_rules), recipe.range_rule)
            grids.update(dict.fromkeys(group, grid(group, pooled, rule)))
    for name, tensor in statistics.tensors.items():
        if name not in absorbed and name not in grids:
            grids[name] = grid((name,), tensor, own_rules.get(name, recipe.range_rule))
    given = {name: as_type(grid, recipe.activation_type) for name, grid in grids_of(model).items() if grid.axis is None}
    grids.update({name: grid for name, grid in given.items() if name in grids})
    for name in absorbed:
        last = name
        while last in absorbed:  # of several activations in a row
            last = absorbed[last]
        if last in grids:
            grids[name] = grids[last]
    return grids


def _absorbed(model: onnx.ModelProto, recipe: Recipe) -> dict[str, str]:
    """Return the tensors that nothing but a quantized Relu or Clip takes, and its output: only that is on a grid."""
    uses = Counter(name for node in model.graph.node for name in reads(node))
    uses.update(value.name for value in model.graph.output)
    quantized = {*ACTIVATIONS} - {*recipe.float_op_types}
    return {
        node.input[0]: node.output[0]
        for node in model.graph.node
        if node.op_type in quantized and node.name not in recipe.float_nodes and uses[node.input[0]] == 1
    }


def _concat_groups(
    model: onnx.ModelProto, statistics: CalibrationStatistics
) -> list[tuple[tuple[str, ...], TensorStatistics]]:
    """Return the sets of tensors that Concats, and the pools behind and before them, put on one grid."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    joined: set[str] = set()
    for node in model.graph.node:
        if node.op_type != "Concat" and node.op_type not in _SAME_GRID:
            continue
        names = [name for name in (*node.input, *node.output[:1]) if name in statistics.tensors]
        for name in names[1:]:
            parent[root(name)] = root(names[0])
        if node.op_type == "Concat":
            joined.update(names)
    groups: dict[str, list[str]] = {}
    for name in statistics.tensors:
        if name in parent:
            groups.setdefault(root(name), []).append(name)
    concats = [tuple(group) for group in groups.values() if joined & set(group)]
    return [(group, _pooled([statistics.tensors[name] for name in group])) for group in concats]


def _pooled(tensors: list[TensorStatistics]) -> TensorStatistics:
    return TensorStatistics(
        histogram=Histogram.sum(*(tensor.histogram for tensor in tensors)),
        minimum=min(tensor.minimum for tensor in tensors),
        maximum=max(tensor.maximum for tensor in tensors),
        means=None,
    )
