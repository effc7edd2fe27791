"""The last touch of the QDQ format: what onnxruntime does not fuse works on the integers themselves."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.operators import clip, moving
from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.formats.unit import Unit, unit_of
from quantize.graph.nodes import attribute
from quantize.graph.view import Graph

NOT_FUSED = ("DepthToSpace", "Pad", "SpaceToDepth", "Transpose")


def on_integers_where_not_fused(graph: Graph) -> None:
    """Take DequantizeLinear and QuantizeLinear away around moving nodes that onnxruntime would leave in float.

    So for Clip, and for a Transpose: onnxruntime fuses that one, but moves it about in float before. A Reshape beside
    one of those follows it. A Concat of equal parameters as well: it is fused to one that looks up every byte.
    """
    for node in graph.sorted_nodes():
        if node.domain:
            continue
        if node.op_type in NOT_FUSED or (node.op_type == "Reshape" and _beside_not_fused(graph, node)):
            moving.to_qlinear(graph, node)
        elif node.op_type in ("Clip", "Relu"):
            clip.to_qlinear(graph, node)
        elif node.op_type == "Concat":
            unit = unit_of(graph, node, through_clip=False)
            if unit is not None and _all_equal(unit):
                graph.remove(unit.replaced)
                names = [piece.integers for piece in unit.inputs if piece is not None]
                graph.add("Concat", names, [unit.integers], name=node.name, axis=attribute(node, "axis"))


def _all_equal(unit: Unit) -> bool:
    return all(piece is not None and piece.by.same_as(unit.by) for piece in unit.inputs)


def _beside_not_fused(graph: Graph, node: NodeProto) -> bool:
    """Return whether the next node before or after, past its QuantizeLinear and DequantizeLinear, is not fused."""
    before = graph.producer(node.input[0])
    while before is not None and (is_quantize(before) or is_dequantize(before)):
        before = graph.producer(before.input[0])
    if before is not None and before.op_type in NOT_FUSED:
        return True
    after = graph.consumers(node.output[0])
    while len(after) == 1 and (is_quantize(after[0]) or is_dequantize(after[0])):
        after = graph.consumers(after[0].output[0])
    return any(reader.op_type in NOT_FUSED for reader in after)
