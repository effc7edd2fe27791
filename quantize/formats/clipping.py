"""Relu and Clip at the border of a quantized tensor: implied by its range, or a Clip on the integers.

Quantizing is monotone, so clipping and then quantizing gives the integers that quantizing and then clipping to the
quantized bounds gives: nothing is rounded otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import Parameters
from quantize.graph.nodes import attribute
from quantize.graph.view import Graph


@dataclass(frozen=True)
class Bounds:
    """The interval that a Relu or Clip confines values to, in real numbers; infinite where there is no bound."""

    low: float
    high: float

    def implied_by(self, by: Parameters) -> bool:
        """Return whether quantizing alone already confines values to these bounds, to the last integer."""
        low, high = self.integers(by)
        return low <= by.lowest and high >= by.highest

    def integers(self, by: Parameters) -> tuple[int, int]:
        """Return the bounds as integers of a quantized tensor."""
        low, high = (int(by.quantize(np.array(bound, np.float32))) for bound in (self.low, self.high))
        return low, high


def clip_bounds(graph: Graph, node: NodeProto) -> Bounds | None:
    """Return what a Relu or a Clip with constant bounds confines values to; None for any other node."""
    if node.domain:
        return None
    if node.op_type == "Relu":
        return Bounds(0.0, np.inf)
    if node.op_type != "Clip":
        return None
    if graph.opset < 11:
        return Bounds(attribute(node, "min", -np.inf), attribute(node, "max", np.inf))
    found = []
    for position, default in ((1, -np.inf), (2, np.inf)):
        if len(node.input) <= position or not node.input[position]:
            found.append(default)
            continue
        value = graph.constant(node.input[position])
        if value is None or value.size != 1:
            return None
        found.append(float(value.reshape(())))
    return Bounds(*found)


def clip_integers(graph: Graph, bounds: Bounds | None, by: Parameters, integers: str) -> str:
    """Return where an integer operator writes so that ``integers`` comes out clipped, adding a Clip where needed."""
    if bounds is None or bounds.implied_by(by):
        return integers
    unclipped = graph.fresh(f"{integers}_unclipped")
    kind = by.zero_point.dtype
    low, high = (np.array(bound, kind) for bound in bounds.integers(by))
    names = [graph.add_constant(f"{integers}_{end}", bound) for end, bound in (("low", low), ("high", high))]
    graph.add("Clip", [unclipped, *names], [integers], name=f"{integers}_Clip")
    return unclipped
