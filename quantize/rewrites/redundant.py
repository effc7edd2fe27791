"""Remove what a quantized graph does not need; no step changes an integer.

- QuantizeLinear right after DequantizeLinear with equal parameters;
- Relu and Clip that the following QuantizeLinear can stand for, now and later (``formats.activation_bounds``);
- equal constants under several names, and unused ones.

Identity and Dropout, which stand in the way of the conversion between the formats, are gone in canonical form already.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantize.formats.activation_bounds import clip_bounds, may_absorb
from quantize.formats.parameters import is_dequantize, is_quantize, node_parameters
from quantize.formats.qdq_pattern import output_quantization
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower


def _apply(graph: Graph) -> Sequence[str]:
    return [*_pairs(graph), *_implied(graph), *_duplicates(graph)]


def _pairs(graph: Graph) -> list[str]:
    gone = []
    for node in [node for node in graph.sorted_nodes() if is_quantize(node)]:
        before = graph.producer(node.input[0])
        if before is None or not is_dequantize(before) or graph.is_output(node.output[0]):
            continue
        by, by_before = node_parameters(graph, node), node_parameters(graph, before)
        if by is not None and by_before is not None and by.same_as(by_before):
            graph.replace_uses(node.output[0], before.input[0])
            graph.remove([node])
            gone.append(node.name)
    return gone


def _implied(graph: Graph) -> list[str]:
    gone = []
    for node in graph.sorted_nodes():
        bounds = clip_bounds(graph, node)
        following = output_quantization(graph, node.output[0]) if bounds is not None else None
        if bounds is not None and following is not None and may_absorb(graph, *following, bounds):
            graph.replace_uses(node.output[0], node.input[0])
            graph.remove([node])
            gone.append(node.name)
    return gone


def _duplicates(graph: Graph) -> list[str]:
    first: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    gone = []
    for name in graph.constants:
        values = graph.constant(name)
        if values is None or graph.is_output(name) or not graph.consumers(name):
            continue
        same = first.setdefault((values.dtype.str, values.shape, values.tobytes()), name)
        if same != name:
            graph.replace_uses(name, same)
            gone.append(name)
    return gone


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    after = graph.model().graph
    left = {thing.name for thing in (*after.node, *after.initializer)}
    return [f"{name} is there still" for name in names if name in left]


REDUNDANT = Rewrite("redundant", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Everywhere."""
