"""What a Relu or Clip confines values to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx import NodeProto

from quantize.graph.nodes import attribute, is_op
from quantize.graph.view import Graph

_BOUNDS_AS_INPUTS = 11


@dataclass(frozen=True)
class Interval:
    """The values from ``low`` to ``high``; infinite without a bound."""

    low: float
    high: float

    def confine(self, value: float) -> float:
        """Return the value as a Clip to this interval leaves it."""
        return min(max(value, self.low), self.high)


def interval(graph: Graph, node: NodeProto) -> Interval | None:
    """Return what a Relu, or a Clip with constant bounds, confines values to; None for any other node."""
    if is_op(node, "Relu"):
        return Interval(0.0, math.inf)
    if not is_op(node, "Clip"):
        return None
    if graph.opset < _BOUNDS_AS_INPUTS:
        return Interval(attribute(node, "min", -math.inf), attribute(node, "max", math.inf))
    ends = []
    for position, default in ((1, -math.inf), (2, math.inf)):
        if len(node.input) <= position or not node.input[position]:
            ends.append(default)
            continue
        value = graph.constant(node.input[position])
        if value is None or value.size != 1:
            return None
        ends.append(float(value.reshape(())))
    return Interval(*ends)
