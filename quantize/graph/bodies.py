"""Tensors that a graph inside a node (a branch of an If, the body of a Loop) reads from outside."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto, TypeProto

from quantize.graph.nodes import body_reads, holds_graphs, is_op
from quantize.graph.view import Graph


def read_through_identity(graph: Graph, types: Mapping[str, TypeProto]) -> None:
    """Let graphs inside nodes read float tensors from outside through an Identity.

    Other quantizers do not look into nodes: a tensor that is read inside of one seems to be read by nothing, and is
    renamed, or removed with the activation that makes it. An Identity they see, also where the node itself takes the
    tensor too: that place alone would be given the quantized tensor.

    Args:
        graph: Changed in place.
        types: Of its tensors.
    """
    for node in [own for own in graph.nodes if holds_graphs(own)]:
        for name in dict.fromkeys(body_reads(node)):
            maker = graph.producer(name)
            is_float = name in types and types[name].tensor_type.elem_type == TensorProto.FLOAT
            seen_already = maker is not None and is_op(maker, "Identity") and graph.consumers(name) == [node]
            if not is_float or seen_already or graph.tensor(name) is not None:
                continue
            seen = graph.fresh(f"{name}_seen")
            graph.add("Identity", [name], [seen], name=f"{seen}_Identity", before=node)
            graph.let_read(node, name, seen)
