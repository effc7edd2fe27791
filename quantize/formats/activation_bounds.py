"""What a Relu or Clip confines values to, and when a grid may stand for it: the one place that decides that.

Quantizing is monotone and saturates, so where a bound lies on the last integer of a grid, or beyond, quantizing alone
confines values to it: the activation may go. That holds for as long as the tensor keeps this grid. Two things give it
another one later: a Concat, with which it comes to share one (``rewrites.common_scales``), and the scores, which come
to compute in float (``rewrites.float_head``). Both read from the grid's ends what activation it stood for: an end at 0
is a Relu, one at 6 a Relu6. Any other bound has to stay in the graph there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.graph.activations import interval
from quantize.graph.nodes import MATRIX_PRODUCTS, is_op, moves_values
from quantize.graph.view import Graph
from quantize.grid.grid import Grid

_RELU6 = 6.0


@dataclass(frozen=True)
class Bounds:
    """The interval that a Relu or Clip confines values to, in real numbers; infinite without a bound."""

    low: float
    high: float

    @staticmethod
    def stated_by(grid: Grid) -> Bounds:
        """Return the activation that a grid per tensor is known to stand for by its ends alone, as far as they say."""
        relu6 = abs(grid.high - _RELU6) <= float(grid.scale) / 2
        return Bounds(0.0 if grid.low == 0.0 else -np.inf, _RELU6 if relu6 else np.inf)

    def carried_by(self, grid: Grid) -> bool:
        """Return whether quantizing by a grid per tensor confines values to these bounds, to the last integer."""
        low, high = self.integers(grid)
        return low <= grid.lowest and high >= grid.highest

    def within(self, other: Bounds) -> bool:
        """Return whether values inside these bounds are inside the other ones."""
        return self.low >= other.low and self.high <= other.high

    def integers(self, grid: Grid) -> tuple[int, int]:
        """Return the bounds as integers of a tensor on a grid per tensor."""
        low, high = (int(grid.quantize(np.array(bound, np.float32))) for bound in (self.low, self.high))
        return low, high


UNBOUNDED = Bounds(-np.inf, np.inf)
RELU = Bounds(0.0, np.inf)


def clip_bounds(graph: Graph, node: NodeProto) -> Bounds | None:
    """Return what a Relu or a Clip with constant bounds confines values to; None for any other node."""
    found = interval(graph, node)
    return None if found is None else Bounds(found.low, found.high)


def add_activation(graph: Graph, values: str, confined: str, bounds: Bounds, name: str) -> NodeProto:
    """Add the Relu or Clip from the tensor ``values`` to the tensor ``confined``."""
    if bounds == RELU:
        return graph.add("Relu", [values], [confined], name=name)
    most = float(np.finfo(np.float32).max)
    named = (("low", max(bounds.low, -most)), ("high", min(bounds.high, most)))
    ends = [
        graph.add_constant(f"{name.removesuffix('_Clip')}_{end}", np.array(value, np.float32)) for end, value in named
    ]
    return graph.add("Clip", [values, *ends], [confined], name=name)


def may_absorb(graph: Graph, quantize: NodeProto, grid: Grid, bounds: Bounds) -> bool:
    """Return whether a QuantizeLinear can stand for the activation before it, whatever its grid becomes later.

    Args:
        graph: The quantized graph, QDQ around every operator.
        quantize: The QuantizeLinear of the activation's result.
        grid: Its grid, per tensor.
        bounds: What the activation confines values to.
    """
    if not bounds.carried_by(grid):
        return False
    return Bounds.stated_by(grid).within(bounds) or not _may_change(graph, quantize)


def _may_change(graph: Graph, quantize: NodeProto) -> bool:
    maker = graph.producer(quantize.input[0])
    while maker is not None and clip_bounds(graph, maker) is not None:
        maker = graph.producer(maker.input[0])
    if maker is not None and is_op(maker, *MATRIX_PRODUCTS, "Add"):  # it may be the last one before the scores
        return True
    return any(is_op(reader, "Concat") for reader in _readers_past_moves(graph, quantize.output[0]))


def _readers_past_moves(graph: Graph, name: str) -> Iterator[NodeProto]:
    for reader in graph.consumers(name):
        if is_quantize(reader) or is_dequantize(reader) or moves_values(reader):
            for output in reader.output:
                yield from _readers_past_moves(graph, output)
        else:
            yield reader
