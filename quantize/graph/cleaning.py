"""Normalize a graph for every other room: drop nodes that change nothing, name nodes that have no name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx import GraphProto, NodeProto, TypeProto

from quantize.graph.nodes import attribute, is_op, reads, replace_all, subgraphs
from quantize.graph.view import Graph


def free_initializers(graph: Graph) -> None:
    """Take the weights out of the list of graph inputs, where a caller could override them (IR version 3).

    It computes the same; onnxruntime may then fold and pre-pack the weights.
    """
    proto = graph.proto
    sparse = {tensor.values.name for tensor in proto.sparse_initializer}
    given = set(graph.inputs) - sparse
    replace_all(proto.input, [value for value in proto.input if value.name in given])


def remove_dead_code(graph: Graph) -> None:
    """Remove what does not lead to an output: nodes, initializers, inputs that nothing reads, annotations."""
    graph.prune()
    alive = {*graph.outputs, *(name for node in graph.nodes for name in reads(node))}
    proto = graph.proto
    replace_all(proto.sparse_initializer, [t for t in proto.sparse_initializer if t.values.name in alive])
    replace_all(proto.input, [value for value in proto.input if value.name in alive])
    del proto.quantization_annotation[:]


def remove_pass_through(graph: Graph) -> None:
    """Remove Identity, Dropout and Pad by nothing (opset 11 or newer).

    A Dropout whose mask is read stays, as does a node between an input and an output of the graph. The names of the
    graph's inputs and outputs do not change.
    """
    for node in list(graph.nodes):
        if is_op(node, "Identity") or _is_unread_dropout(graph, node) or _pads_nothing(graph, node):
            graph.bypass(node)


def drop_idle_casts(graph: Graph, types: Mapping[str, TypeProto]) -> None:
    """Let every Cast to the type that its input has be an Identity. Exporters of TensorFlow write one at each layer.

    Args:
        graph: Changed in place.
        types: Of its tensors; what is not there is not touched.
    """
    for node in graph.nodes:
        kind = types.get(node.input[0]) if is_op(node, "Cast") else None
        if kind is not None and kind.tensor_type.elem_type == attribute(node, "to"):
            node.op_type = "Identity"
            del node.attribute[:]


def rename_sums(graph: Graph) -> None:
    """Let Sum of two tensors be Add, the same operator under the name that quantizers know."""
    for node in graph.nodes:
        if is_op(node, "Sum") and len(node.input) == 2:
            node.op_type = "Add"


def name_nodes(nodes: Iterable[NodeProto]) -> None:
    """Name nodes that have no name, or another's, after their operator and first output; the same each time."""
    nodes = list(nodes)
    taken = {node.name for node in nodes if node.name}
    seen: set[str] = set()
    for node in nodes:
        if node.name and node.name not in seen:
            seen.add(node.name)
            continue
        hint = node.name or f"{node.op_type}_{next(iter(node.output), '')}"
        name, number = hint, 1
        while name in taken:
            number += 1
            name = f"{hint}_{number}"
        node.name = name
        taken.add(name)
        seen.add(name)


def rename_namesakes(graph: GraphProto) -> list[str]:
    """Give nodes that share a name with an earlier one names of their own, in the graphs inside nodes too; in place.

    onnxruntime opens no model with two nodes of one name in a graph.

    Returns:
        A sentence for each such name: how many had it, and what the others are called now.
    """
    groups: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        if node.name:
            groups.setdefault(node.name, []).append(node)
    sentences = []
    for name, nodes in groups.items():
        number = 1
        for node in nodes[1:]:
            while node.name in groups:
                number += 1
                node.name = f"{name}_{number}"
        if len(nodes) > 1:
            now = ", ".join(f"'{node.name}'" for node in nodes[1:])
            sentences.append(f"{len(nodes)} nodes are named '{name}': all but the first are called {now} here.")
    for node in graph.node:
        for inner in subgraphs(node):
            sentences += rename_namesakes(inner)
    return sentences


def _is_unread_dropout(graph: Graph, node: NodeProto) -> bool:
    return is_op(node, "Dropout") and not any(
        graph.consumers(name) or graph.is_output(name) for name in node.output[1:]
    )


def _pads_nothing(graph: Graph, node: NodeProto) -> bool:
    if not is_op(node, "Pad") or len(node.input) < 2:
        return False
    pads = graph.constant(node.input[1])
    return pads is not None and not pads.any()
