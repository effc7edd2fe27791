"""One QuantizeLinear and one DequantizeLinear a tensor, and no node that does nothing."""

from __future__ import annotations

from onnx import NodeProto

from quantize.formats.parameters import is_dequantize, is_quantize, node_parameters
from quantize.graph.view import Graph


def merge_duplicates(graph: Graph) -> None:
    """Merge nodes that quantize or dequantize the same tensor by equal parameters; quantize constant weights."""
    for node in graph.sorted_nodes():
        if is_quantize(node) or is_dequantize(node):
            _merge_into_first(graph, node)
    for node in [node for node in graph.nodes if is_quantize(node)]:
        _quantize_constant(graph, node)


def _merge_into_first(graph: Graph, node: NodeProto) -> None:
    by = node_parameters(graph, node)
    if by is None or graph.is_output(node.output[0]):
        return
    for other in graph.consumers(node.input[0]):
        if other is node:
            return
        if other.op_type != node.op_type or other.input[0] != node.input[0]:
            continue
        other_by = node_parameters(graph, other)
        if other_by is not None and other_by.same_as(by):
            graph.replace_uses(node.output[0], other.output[0])
            graph.remove([node])
            return


def _quantize_constant(graph: Graph, node: NodeProto) -> None:
    values = graph.constant(node.input[0])
    by = node_parameters(graph, node) if values is not None else None
    if values is None or by is None or graph.is_output(node.output[0]):
        return
    integers = graph.add_constant(node.output[0], by.quantize(values))
    graph.replace_uses(node.output[0], integers)
    graph.remove([node])


def remove_idle(graph: Graph) -> None:
    """Take Identity away, and Dropout whose mask nobody reads: between a node and its QuantizeLinear they hide it."""
    for node in graph.sorted_nodes():
        masks = node.output[1:] if node.op_type == "Dropout" else []
        if node.domain or node.op_type not in ("Identity", "Dropout") or any(graph.consumers(mask) for mask in masks):
            continue
        if not any(graph.is_output(name) for name in node.output):
            graph.replace_uses(node.output[0], node.input[0])
            graph.remove([node])
