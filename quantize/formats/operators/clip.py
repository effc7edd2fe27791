"""A Relu or Clip between two quantized tensors of equal parameters."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.clipping import clip_bounds, clip_integers
from quantize.formats.unit import unit_of
from quantize.graph.view import Graph


def to_qlinear(graph: Graph, node: NodeProto) -> bool:
    """Let a Relu or Clip work on the integers, or take it away where their range implies it.

    Returns:
        Whether it did: the node is a Relu or Clip, and both sides have equal parameters.
    """
    bounds = clip_bounds(graph, node)
    unit = unit_of(graph, node, through_clip=False) if bounds is not None else None
    source = unit.inputs[0] if unit is not None else None
    if bounds is None or unit is None or source is None or not source.by.same_as(unit.by):
        return False
    graph.remove(unit.replaced)
    # Where nothing is left to clip, the tensor itself is what its readers read.
    replaced = clip_integers(graph, bounds, unit.by, unit.integers)
    graph.replace_uses(replaced, source.integers)
    return True
