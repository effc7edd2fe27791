"""Put back the activations that a quantizer removed although no grid carries their bounds.

onnxruntime's quantizer and Neural Compressor remove every Relu and Clip whose input they quantize, without a look at
the grid: one that a Concat shares with a signed tensor, one that is symmetric, or one of a tensor that others read
before the activation, lets values pass that the activation would have stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnx import ModelProto, NodeProto

from quantize.formats.activation_bounds import Bounds, add_activation, clip_bounds, may_absorb
from quantize.formats.parameters import add_dequantize, add_quantize, is_dequantize, is_quantize, node_parameters
from quantize.formats.qdq import canonical, to_qdq
from quantize.formats.qlinear import quantized_format
from quantize.formats.twins import twins
from quantize.graph.nodes import ACTIVATIONS, is_op
from quantize.graph.view import Graph


def with_activations(model: ModelProto, fp32: ModelProto) -> ModelProto:
    """Return a quantized model with every activation of the fp32 model that none of its grids can stand for.

    Args:
        model: As a quantizer made it of the fp32 model, in any format, its nodes named after those that they compute.
        fp32: The model that it was made of.

    Returns:
        The model itself where nothing is missing and every tensor is read as it is written, else one in the QDQ format.
    """
    graph = Graph(model if quantized_format(model) == "qdq" else canonical(model))
    back = _put_back(graph, Graph.of(fp32))
    return to_qdq(graph.model()) if [*back, *_read_as_written(graph)] else model


def _put_back(graph: Graph, reference: Graph) -> list[str]:
    """Put missing activations into a graph in the QDQ format, and return their names."""
    named = {node.name: node for node in graph.nodes}
    computing: dict[str, list[NodeProto]] = {}
    for name, origin in twins(reference, graph.sorted_nodes()).items():
        computing.setdefault(origin, []).append(named[name])
    back = []
    for node in reference.sorted_nodes():
        if not is_op(node, *ACTIVATIONS) or node.name in computing:
            continue
        before = list(_removed_before(reference, node, computing))
        maker = reference.producer(before[-1].input[0])
        made_by = computing.get(maker.name) if maker is not None else None
        if maker is None or not made_by:
            continue
        twin, position = made_by[-1], list(maker.output).index(before[-1].input[0])
        if all(len(reference.consumers(step.input[0])) == 1 for step in before):
            done = _for_all_readers(graph, twin, position, node, reference)
        else:
            done = _for_own_readers(graph, twin.output[position], node, reference, computing)
        if done:
            back.append(node.name)
    return back


def _read_as_written(graph: Graph) -> list[str]:
    """Let every tensor be quantized to the grid that it is read with, and return the names of those that were not.

    Neural Compressor moves integers by Pad on the grid before it, and reads them with that of the activation behind it;
    and by Gather on the grid of a whole tensor, and reads them with that of the part.
    """
    other = []
    for quantize in [node for node in graph.nodes if is_quantize(node)]:
        by = node_parameters(graph, quantize)
        readers = [reader for reader in graph.consumers(quantize.output[0]) if is_dequantize(reader)]
        grids = [grid for reader in readers if (grid := node_parameters(graph, reader)) is not None]
        if by is None or not grids or by.same_as(grids[0]) or not all(grid.same_as(grids[0]) for grid in grids):
            continue
        for position, name in ((1, grids[0].scale_name), (2, grids[0].zero_point_name)):
            graph.set_input(quantize, position, name)
        other.append(quantize.name)
    return other


def _removed_before(reference: Graph, node: NodeProto, computing: dict[str, list[NodeProto]]) -> Iterator[NodeProto]:
    """Yield a removed activation, and those right before it that were removed too."""
    current: NodeProto | None = node
    while current is not None and is_op(current, *ACTIVATIONS) and current.name not in computing:
        yield current
        current = reference.producer(current.input[0])


def _for_all_readers(graph: Graph, maker: NodeProto, position: int, node: NodeProto, reference: Graph) -> bool:
    """Confine a tensor that only the activation read, unless its readers do; return whether that was necessary."""
    values, bounds = maker.output[position], clip_bounds(reference, node)
    readers = graph.consumers(values)
    if not graph.is_output(values) and all(_confines(graph, reader, bounds) for reader in readers):
        return False
    inner = graph.fresh(f"{values}_unbounded")
    graph.set_output(maker, position, inner)
    _add(graph, reference, node, inner, values)
    return True


def _confines(graph: Graph, reader: NodeProto, bounds: Bounds | None) -> bool:
    own = clip_bounds(graph, reader)
    if own is not None and bounds is not None:
        return own.within(bounds)
    by = node_parameters(graph, reader) if is_quantize(reader) else None
    return by is not None and by.axis is None and bounds is not None and may_absorb(graph, reader, by, bounds)


def _for_own_readers(
    graph: Graph, values: str, node: NodeProto, reference: Graph, computing: dict[str, list[NodeProto]]
) -> bool:
    """Confine a tensor for those that read the activation's result; others read the tensor as it is."""
    bounds = clip_bounds(reference, node)
    result = node.output[0]
    takers = [
        (twin, position)
        for reader in reference.consumers(result)
        for twin in computing.get(reader.name, ())
        for position, name in enumerate(reader.input)
        if name == result and position < len(twin.input)
    ]
    confined: dict[str, str] = {}
    for taker, position in takers:
        name = taker.input[position]
        dequantize = graph.producer(name)
        quantize = dequantize
        if dequantize is not None and is_dequantize(dequantize):
            quantize = graph.producer(dequantize.input[0])
        source = quantize.input[0] if quantize is not None and is_quantize(quantize) else name
        if source != values or (quantize is not None and is_quantize(quantize) and _confines(graph, quantize, bounds)):
            continue
        if name not in confined:
            confined[name] = _confined(graph, reference, node, name, quantize)
        graph.set_input(taker, position, confined[name])
    return bool(confined)


def _confined(graph: Graph, reference: Graph, node: NodeProto, name: str, quantize: NodeProto | None) -> str:
    by = node_parameters(graph, quantize) if quantize is not None and is_quantize(quantize) else None
    if by is None:
        result = graph.fresh(node.output[0])
        _add(graph, reference, node, name, result)
        return result
    inner = graph.fresh(f"{node.output[0]}_bounded")
    _add(graph, reference, node, name, inner)
    integers = graph.fresh(f"{node.output[0]}_quantized")
    add_quantize(graph, inner, by, integers)
    return add_dequantize(graph, integers, by)


def _add(graph: Graph, reference: Graph, node: NodeProto, values: str, result: str) -> None:
    bounds = clip_bounds(reference, node)
    if bounds is not None:
        add_activation(graph, values, result, bounds, node.name)
        return
    graph.add(node.op_type, [values, *_bound_tensors(graph, reference, node)], [result], name=node.name)


def _bound_tensors(graph: Graph, reference: Graph, node: NodeProto) -> Sequence[str]:
    """Return the tensors that hold the bounds of a Clip that computes them."""
    names = []
    for name in node.input[1:]:
        constant = reference.constant(name) if name else None
        names.append(name if constant is None else graph.add_constant(name, constant))
    return names
