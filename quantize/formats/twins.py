"""Which node of the fp32 model a node of a quantized one computes, by the names that quantizers give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from onnx import NodeProto

from quantize.graph.view import Graph

# onnxruntime names what it made of several nodes, as of a Gemm and the Transpose before it, after one of them.
_SUFFIX = re.compile(r"(?:(?:_part)?_\d+|_quant|_MatMul|_Add|/\w+Fusion/?)$")
_PART = re.compile(r"_part_(?P<part>\d+)(?:_\d+)*$")

_MADE_OF = {
    "AveragePool": ("Conv", "Mul"),
    "Div": ("Mul",),
    "Gemm": ("MatMul", "Add"),
    "HardSwish": ("Mul",),
    "ReduceMean": ("GlobalAveragePool",),
}


def part_name(name: str, part: int) -> str:
    """Return the name of the node that computes one part of the columns of another."""
    return f"{name}_part_{part}"


def part_of(name: str) -> int | None:
    """Return which part of another's columns a node computes, by its name; None if it computes all."""
    found = _PART.search(name)
    return None if found is None else int(found["part"])


def twins(reference: Graph, nodes: Iterable[NodeProto]) -> dict[str, str]:
    """Return the fp32 model's node that each of a quantized model's nodes computes, by name, in their order.

    Args:
        reference: The fp32 model.
        nodes: Those of a model that a quantizer made of it, in canonical form.
    """
    named = {node.name: node for node in reference.nodes}
    origins = {}
    for node in nodes:
        for name in _inner_names(node.name):
            origin = named.get(name)
            if origin is not None and _same_operator(node, origin):
                origins[node.name] = name
                break
    return origins


def _inner_names(name: str) -> Iterator[str]:
    yield name
    while (shorter := _SUFFIX.sub("", name)) != name:
        name = shorter
        yield name


def _same_operator(node: NodeProto, origin: NodeProto) -> bool:
    # Neural Compressor splits a Gemm into a MatMul and an Add; the native engine writes a mean of an image as a pool.
    # A pool may be a Conv of ones, or a Mul behind one.
    # On the integers a HardSwish, be it one node or four that end with a Div, ends with a Mul; any function may be a
    # table.
    return node.op_type in (origin.op_type, "GatherElements", *_MADE_OF.get(origin.op_type, ()))
