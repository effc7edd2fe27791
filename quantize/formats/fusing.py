"""The last touch of the QDQ format: what onnxruntime does not fuse works on the integers themselves."""

from __future__ import annotations

from quantize.formats.graph import Graph, attribute
from quantize.formats.operators import moving
from quantize.formats.unit import Unit, unit_of

NOT_FUSED = ("SpaceToDepth", "DepthToSpace")


def on_integers_where_not_fused(graph: Graph) -> None:
    """Take DequantizeLinear and QuantizeLinear away around moving nodes that onnxruntime would leave in float.

    A Concat of equal parameters too: onnxruntime fuses it, but to an operator that looks every byte up in a table.
    """
    for node in graph.sorted_nodes():
        if node.domain:
            continue
        if node.op_type in NOT_FUSED:
            moving.to_qlinear(graph, node)
        elif node.op_type == "Concat":
            unit = unit_of(graph, node, through_clip=False)
            if unit is not None and _all_equal(unit):
                graph.remove(unit.replaced)
                names = [piece.integers for piece in unit.inputs if piece is not None]
                graph.add("Concat", names, [unit.integers], name=node.name, axis=attribute(node, "axis"))


def _all_equal(unit: Unit) -> bool:
    return all(piece is not None and piece.by.same_as(unit.by) for piece in unit.inputs)
