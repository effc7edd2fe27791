"""One scale for a Concat and all its inputs, so that the Concat only copies bytes.

A Concat of tensors with parameters of their own requantizes every byte. Here the nodes that make those tensors
quantize to the Concat's parameters at once: a value is rounded once instead of twice. Operators that only move values
have one set of parameters before and after, so the change goes through them, to both sides, and through every Concat
on the way; a tensor that is read elsewhere too has its new parameters there as well.

A range that ends at 0 or 6 is a Relu or Relu6 that the quantizer absorbed: where the common range extends beyond that
end, a Clip of the integers keeps it. Any other end is only as far as the calibration images went, and need not be kept:
another activation before a Concat is never absorbed (``formats.activation_bounds``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from onnx import NodeProto

from quantize.formats.activation_bounds import Bounds, clip_bounds
from quantize.formats.bias import add_bias
from quantize.formats.parameters import (
    Parameters,
    add_dequantize,
    add_quantize,
    is_dequantize,
    is_quantize,
    new_parameters,
    node_parameters,
)
from quantize.formats.qdq_pattern import constant_integers, qdq_pattern, quantized_input, quantizer
from quantize.graph.nodes import is_op, moves_values
from quantize.graph.view import Graph
from quantize.grid.grid import Grid
from quantize.rewrites.protocol import Declaration, Rewrite, shown_not_slower

BIASED = ("Conv", "Gemm")
_NO_EXTENT = 1.0
"""The step of the grid of a tensor whose values are all zero."""


def _apply(graph: Graph) -> Sequence[str]:
    changed: list[str] = []
    done: set[str] = set()
    for node in graph.sorted_nodes():
        if not is_op(node, "Concat") or node.output[0] in done:
            continue
        group = _group(graph, node)
        if group is None:
            continue
        done |= {quantize.input[0] for quantize in group}
        grids = [by for quantize in group if (by := node_parameters(graph, quantize)) is not None]
        if len(grids) == len(group) and not all(by.same_as(grids[0]) for by in grids):
            _set(graph, group, _common(graph, _ranged(graph, group), node.name))
            changed.append(node.name)
    return changed


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    problems = []
    for node in [node for node in graph.nodes if node.name in names]:
        pattern = qdq_pattern(graph, node, through_clip=False)
        if pattern is None or not all(piece is not None and piece.by.same_as(pattern.by) for piece in pattern.inputs):
            problems.append(f"{node.name} still requantizes")
    return problems


def _group(graph: Graph, concat: NodeProto) -> list[NodeProto] | None:
    """Return the QuantizeLinear nodes of all tensors bound to a Concat; None if one of them is not quantized."""
    group: dict[str, NodeProto] = {}
    waiting = list(_of_output(graph, concat))
    if not waiting:
        return None
    waiting += [quantize for name in concat.input if (quantize := _of_input(graph, name)) is not None]
    if len(waiting) != 1 + len(concat.input):
        return None
    while waiting:
        quantize = waiting.pop()
        if quantize.name in group:
            continue
        group[quantize.name] = quantize
        for node in _bound(graph, quantize):
            before = [_of_input(graph, name) for name in _kept(node)]
            after = list(_of_output(graph, node))
            if after and all(other is not None for other in before):
                waiting += [other for other in before if other is not None] + after
    return list(group.values())


def _bound(graph: Graph, quantize: NodeProto) -> Iterator[NodeProto]:
    """Yield the Concats, moving nodes and activations on integers that make or read a quantized tensor."""
    maker = graph.producer(quantize.input[0])
    readers = (reader for dq in _dequantized(graph, quantize) for reader in graph.consumers(dq.output[0]))
    for node in (*([maker] if maker is not None else []), *readers):
        if _keeps_values(graph, node):
            yield node


def _dequantized(graph: Graph, quantize: NodeProto) -> list[NodeProto]:
    return [reader for reader in graph.consumers(quantize.output[0]) if is_dequantize(reader)]


def _of_input(graph: Graph, name: str) -> NodeProto | None:
    """Return the QuantizeLinear behind a dequantized tensor, if nothing but DequantizeLinear reads it."""
    quantize = quantizer(graph, name)
    if quantize is None or graph.is_output(quantize.output[0]):
        return None
    readers = graph.consumers(quantize.output[0])
    return quantize if len(_dequantized(graph, quantize)) == len(readers) else None


def _of_output(graph: Graph, node: NodeProto) -> Iterable[NodeProto]:
    """Return the QuantizeLinear nodes of a node's outputs; none where one of them is not quantized only."""
    quantizers = []
    for name in node.output:
        readers = graph.consumers(name)
        if len(readers) != 1 or not is_quantize(readers[0]) or graph.is_output(name):
            return []
        if graph.is_output(readers[0].output[0]):
            return []
        quantizers.append(readers[0])
    return quantizers


def _ranged(graph: Graph, group: Sequence[NodeProto]) -> list[Parameters]:
    """Return the grids of a group whose ranges count: all but those of tensors that are always zero.

    Every quantizer gives a tensor without extent steps of 1. A tensor that has such steps by chance, as raw pixels do,
    is held by the grid of the Concat that alone takes it.
    """
    own = {quantize.name for quantize in group}

    def is_in_group(reader: NodeProto) -> bool:
        return _keeps_values(graph, reader) and any(after.name in own for after in _of_output(graph, reader))

    counted = []
    for quantize in group:
        maker, by = graph.producer(quantize.input[0]), _grid(graph, quantize)
        readers = [reader for dq in _dequantized(graph, quantize) for reader in graph.consumers(dq.output[0])]
        joins = maker is not None and is_op(maker, "Concat")
        if float(by.scale) != _NO_EXTENT or joins or not all(map(is_in_group, readers)):
            counted.append(by)
    return counted


def _common(graph: Graph, grids: Sequence[Parameters], hint: str) -> Parameters:
    """Return the parameters that hold the range of every grid: those of one of them if they do, or new ones."""
    low, high = min(by.low for by in grids), max(by.high for by in grids)
    for by in grids:
        if by.low <= low + float(by.scale) / 2 and by.high >= high - float(by.scale) / 2:
            return by
    grid = Grid.covering(low, high, activation_type=grids[0].zero_point.dtype)
    return new_parameters(graph, f"{hint}_common", grid.scale, grid.zero_point, None)


def _set(graph: Graph, group: Sequence[NodeProto], by: Parameters) -> None:
    grids = {quantize.input[0]: _grid(graph, quantize) for quantize in group}
    open_ended = [quantize for quantize in group if not _from_within(graph, quantize, grids)]
    for quantize in group:
        for node in (quantize, *_dequantized(graph, quantize)):
            graph.set_input(node, 1, by.scale_name)
            graph.set_input(node, 2, by.zero_point_name)
        for dequantize in _dequantized(graph, quantize):
            for reader in graph.consumers(dequantize.output[0]):
                if reader.op_type in BIASED and reader.input[0] == dequantize.output[0] and len(reader.input) > 2:
                    _rescale_bias(graph, reader, by)
    for quantize in open_ended:
        _clip(graph, quantize, by, Bounds.stated_by(grids[quantize.input[0]]))


def _grid(graph: Graph, quantize: NodeProto) -> Parameters:
    by = node_parameters(graph, quantize)
    assert by is not None
    return by


def _from_within(graph: Graph, quantize: NodeProto, grids: Mapping[str, Parameters]) -> bool:
    """Return whether a node that keeps values makes the tensor out of tensors whose ranges it holds anyway."""
    maker = graph.producer(quantize.input[0])
    if maker is None or not _keeps_values(graph, maker):
        return False
    own = grids[quantize.input[0]]
    sources = [_of_input(graph, name) for name in _kept(maker)]
    inner = [grids.get(source.input[0]) if source is not None else None for source in sources]
    return all(grid is not None and grid.low >= own.low and grid.high <= own.high for grid in inner)


def _keeps_values(graph: Graph, node: NodeProto) -> bool:
    """Return whether what a node gives are values that it takes; an activation on integers confines them besides."""
    return is_op(node, "Concat") or moves_values(node) or _is_on_integers(graph, node)


def _is_on_integers(graph: Graph, node: NodeProto) -> bool:
    """Return whether a node is an activation between equal grids, which works on the integers while they are equal."""
    pattern = qdq_pattern(graph, node, through_clip=False) if clip_bounds(graph, node) is not None else None
    source = pattern.inputs[0] if pattern is not None else None
    return pattern is not None and source is not None and source.by.same_as(pattern.by)


def _kept(node: NodeProto) -> Sequence[str]:
    """Return the inputs whose values a node keeps."""
    return list(node.input if node.op_type == "Concat" else node.input[:1])


def _clip(graph: Graph, quantize: NodeProto, by: Parameters, bounds: Bounds) -> None:
    """Confine the integers of a tensor to the Relu that its range stood for, where the common parameters do not."""
    readers = [reader for dq in _dequantized(graph, quantize) for reader in graph.consumers(dq.output[0])]
    own = [clip_bounds(graph, reader) for reader in readers]
    if bounds.carried_by(by) or (own and all(other is not None and other.within(bounds) for other in own)):
        return
    ends = [
        graph.add_constant(f"{quantize.output[0]}_{end}", np.array(value, np.float32))
        for end, value in (("low", bounds.low), ("high", bounds.high))
    ]
    integers = graph.fresh(f"{quantize.output[0]}_unclipped")
    clipped = graph.fresh(f"{quantize.output[0]}_clipped")
    output = quantize.output[0]
    graph.set_output(quantize, 0, integers)
    graph.add("Clip", [add_dequantize(graph, integers, by), *ends], [clipped], name=f"{output}_Clip")
    add_quantize(graph, clipped, by, output)


def _rescale_bias(graph: Graph, node: NodeProto, by: Parameters) -> None:
    """Give an int32 bias the scale that its operator now implies."""
    weight, bias = quantized_input(graph, node.input[1]), constant_integers(graph, node.input[2])
    if weight is not None and bias is not None:
        source, integers = bias
        graph.set_input(node, 2, add_bias(graph, f"{node.name}_bias", source.by.dequantize(integers), by, weight.by))


COMMON_SCALES = Rewrite("common-scales", Declaration("rounding", 0.15), _apply, _broken, shown_not_slower)
"""Every group of tensors around a Concat. Values move by up to a step of the common scale where they are written."""
