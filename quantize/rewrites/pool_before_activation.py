"""Move MaxPool before the activation of a float Conv whose result is quantized.

Where a stem computes in float and what its pool gives is quantized, onnxruntime moves QuantizeLinear above MaxPool,
which then works on bytes with the channels first: 4 ms for 64 channels of 111 x 111 on a Zen 5, 0.1 in float. Behind
the pool, the activation is in QuantizeLinear's way. The largest of some values is the same before and after what does
not fall: no bit changes. A Relu that the zero point stood for is written out, for the same reason.

An integer Conv keeps its order: QuantizeLinear has to reach it, and its pool runs on channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import NodeProto

from quantize.formats.parameters import Parameters, is_dequantize, is_quantize, node_parameters
from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.nodes import ACTIVATIONS, attribute, is_op
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower


@dataclass(frozen=True)
class _Stem:
    """A float Conv and the pool behind it.

    Attributes:
        conv: The Conv.
        activation: What stands between them, besides a pair; None: nothing.
        pair: A QuantizeLinear and its DequantizeLinear between them, by which the pool's result is quantized as well.
    """

    conv: NodeProto
    activation: NodeProto | None
    pair: tuple[NodeProto, ...]


def _apply(graph: Graph) -> Sequence[str]:
    return [node.name for node in graph.sorted_nodes() if _is_pool(node) and _rewrite(graph, node)]


def _rewrite(graph: Graph, pool: NodeProto) -> bool:
    by = _quantized_by(graph, pool.output[0])
    stem = _stem(graph, pool, by) if by else None
    if stem is None or (stem.activation is None and any(grid.low != 0.0 for grid in by)):
        return False
    graph.remove(stem.pair)
    result, pooled = pool.output[0], graph.fresh(f"{pool.output[0]}_pooled")
    graph.set_input(pool, 0, stem.conv.output[0])
    graph.set_output(pool, 0, pooled)
    if stem.activation is None:
        graph.add("Relu", [pooled], [result], name=f"{pool.name}_Relu")
    else:
        graph.set_input(stem.activation, 0, pooled)
        graph.set_output(stem.activation, 0, result)
    return True


def _stem(graph: Graph, pool: NodeProto, by: Sequence[Parameters]) -> _Stem | None:
    """Return the Conv in float that a pool alone reads, and what is between; None if there is no such Conv."""
    pair: tuple[NodeProto, ...] = ()
    node = _sole_source(graph, pool)
    if node is not None and is_dequantize(node):
        quantize = _sole_source(graph, node)
        own = node_parameters(graph, node)
        if quantize is None or not is_quantize(quantize) or own is None:
            return None
        made = node_parameters(graph, quantize)
        if made is None or not all(own.same_as(other) for other in (made, *by)):
            return None
        pair = (quantize, node)
        node = _sole_source(graph, quantize)
    activation = node if node is not None and _never_falls(node) else None
    conv = node if activation is None else _sole_source(graph, activation)
    if conv is None or not is_op(conv, "Conv") or _is_integer(graph, conv):
        return None
    return _Stem(conv, activation, pair)


def _sole_source(graph: Graph, reader: NodeProto) -> NodeProto | None:
    """Return what makes a node's first input, where nothing else reads it."""
    name = reader.input[0]
    return None if graph.is_output(name) or len(graph.consumers(name)) != 1 else graph.producer(name)


def _is_integer(graph: Graph, conv: NodeProto) -> bool:
    return all(quantized_input(graph, name) is not None for name in conv.input[:2])


def _quantized_by(graph: Graph, name: str) -> list[Parameters]:
    """Return the parameters, one a tensor, by which a float tensor is quantized; none where it is read as it is too."""
    readers = graph.consumers(name)
    by = [node_parameters(graph, reader) for reader in readers if is_quantize(reader)]
    known = [grid for grid in by if grid is not None and grid.axis is None]
    return known if len(known) == len(readers) and not graph.is_output(name) else []


def _never_falls(node: NodeProto) -> bool:
    """Return whether a node is a function of each value that never falls, in floats too."""
    return is_op(node, *ACTIVATIONS) or (is_op(node, "LeakyRelu") and attribute(node, "alpha", 0.01) >= 0)


def _is_pool(node: NodeProto) -> bool:
    """Return whether a node is a MaxPool, of values alone, each of whose windows holds one at least.

    An empty window gives the lowest number, which an activation before it would not change, and one behind it would.
    """
    if not is_op(node, "MaxPool") or len([name for name in node.output if name]) != 1:
        return False
    kernel = attribute(node, "kernel_shape")
    count, how = len(kernel), attribute(node, "auto_pad", "NOTSET")
    pads = attribute(node, "pads", [0] * 2 * count)
    padded, upward = how.startswith("SAME") or any(pads), attribute(node, "ceil_mode", 0)
    if any(step != 1 for step in attribute(node, "dilations", [1] * count)):
        return not padded and not upward
    if upward:
        strides = attribute(node, "strides", [1] * count)
        ends = pads[count:] if how == "NOTSET" else [0] * count
        return not how.startswith("SAME") and all(
            size >= step + end for size, step, end in zip(kernel, strides, ends, strict=True)
        )
    return how != "NOTSET" or all(pad < size for pad, size in zip(pads, [*kernel, *kernel], strict=True))


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    pools = [node for node in graph.nodes if node.name in names]
    return [
        f"{pool.name} is quantized right behind it"
        for pool in pools
        if any(is_quantize(reader) for reader in graph.consumers(pool.output[0]))
    ]


POOL_BEFORE_ACTIVATION = Rewrite("pool-before-activation", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Behind a Conv that computes in float. After ``redundant``, which would remove a Relu before QuantizeLinear."""
