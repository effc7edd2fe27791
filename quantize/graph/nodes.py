"""Walking over a graph's nodes and tensors, those of subgraphs too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

DEFAULT_DOMAINS = ("", "ai.onnx")


def default_opset(model: ModelProto) -> int:
    """Return the version of the default operator set (1 where the model names none, as the format's rule says)."""
    return next((int(entry.version) for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS), 1)


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs in a node's attributes, such as the branches of an If."""
    for entry in node.attribute:
        if entry.HasField("g"):
            yield entry.g
        yield from entry.graphs


def all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield every node of a graph and of the graphs inside its nodes."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from all_nodes(inner)


def all_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield every stored tensor: initializers, sparse ones' parts, and tensors in nodes' attributes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for entry in node.attribute:
            if entry.HasField("t"):
                yield entry.t
            yield from entry.tensors
        for inner in subgraphs(node):
            yield from all_tensors(inner)


def reads(node: NodeProto) -> Iterator[str]:
    """Yield the names that a node reads, those that its subgraphs take from outside too."""
    yield from (name for name in node.input if name)
    for inner in subgraphs(node):
        made = {name for own in inner.node for name in own.output} | {tensor.name for tensor in inner.initializer}
        made |= {value.name for value in inner.input}
        for own in inner.node:
            yield from (name for name in reads(own) if name not in made)
        yield from (value.name for value in inner.output if value.name not in made)


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute, or the default where it is not set; strings come as str."""
    for entry in node.attribute:
        if entry.name == name:
            value = helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default


def is_op(node: NodeProto, *op_types: str) -> bool:
    """Return whether a node is one of these operators of the default domain."""
    return node.op_type in op_types and node.domain in DEFAULT_DOMAINS


def replace_all(field: Any, messages: Iterable[Any]) -> None:
    """Let a repeated field of a protocol buffer hold these messages, some of which may be its own."""
    kept = list(messages)
    del field[:]
    field.extend(kept)
