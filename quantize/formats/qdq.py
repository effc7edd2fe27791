"""Convert a graph of integer operators to QuantizeLinear-DequantizeLinear around float operators."""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from quantize.formats.operators import QLINEAR_OPERATORS, concat, moving
from quantize.formats.parameters import is_dequantize, is_quantize, node_parameters
from quantize.formats.qdq_pattern import qdq_pattern
from quantize.graph.nodes import ACTIVATIONS, DEFAULT_DOMAIN, MICROSOFT, attribute, is_op, moves_values
from quantize.graph.opsets.raising import raise_graph
from quantize.graph.view import Graph

NOT_FUSED = ("DepthToSpace", "Pad", "ReduceMax", "SpaceToDepth", "Transpose")
"""Moving operators that onnxruntime leaves in float, or moves about in float before it fuses them."""

OPSET = 13
"""Of the canonical form at least: DequantizeLinear has an axis."""


def to_qdq(model: ModelProto, *, opset: int = OPSET) -> ModelProto:
    """Return a model in the QDQ format, at opset 13 or the model's own if that is higher.

    Scales, zero points, weights and biases are those of the given model. What onnxruntime does not fuse between a
    DequantizeLinear and a QuantizeLinear of equal parameters (SpaceToDepth, Concat) works on the integers, so that
    the format costs no time.

    Args:
        model: In any format: QLinear (QOperator), QDQ, or a mixture; of Neural Compressor or onnxruntime.
        opset: At least this; only 13, or what the model has, can be asked for.

    Raises:
        ModelError: A node cannot be expressed at opset 13.
        ValueError: The opset asked for is above both 13 and the model's.
    """
    graph = Graph(canonical(model))
    if opset > graph.opset:
        raise ValueError(f"cannot raise a quantized graph from opset {graph.opset} to {opset}")
    _move_integers_where_not_fused(graph)
    return graph.model()


def canonical(model: ModelProto) -> ModelProto:
    """Return the form that rewrites work on: QDQ around every operator, moving ones too, at opset 13 or higher.

    Only integers with unknown meaning (those of a uint8 model input, before they are dequantized) are computed with.
    """
    graph = Graph(model)
    for node in graph.nodes:
        if node.domain == MICROSOFT and (is_quantize(node) or is_dequantize(node)):
            node.domain = DEFAULT_DOMAIN
    for node in graph.sorted_nodes():
        convert = QLINEAR_OPERATORS.get((node.domain, node.op_type))
        if convert is not None:
            convert(graph, node)
    for node in raise_graph(graph, OPSET):
        graph.renew(node)  # every conversion names what it changes anew; the names are part of recorded hashes
    _remove_idle(graph)
    for node in graph.sorted_nodes():
        if moves_values(node) or is_op(node, "Clip"):
            moving.to_qdq(graph, node)
        elif is_op(node, "Concat"):
            concat.integers_to_qdq(graph, node)
    _merge_duplicates(graph)
    return graph.model()


def _merge_duplicates(graph: Graph) -> None:
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


def _remove_idle(graph: Graph) -> None:
    """Remove Identity, and Dropout whose mask nobody reads: between a node and its QuantizeLinear they hide it."""
    for node in graph.sorted_nodes():
        masks = node.output[1:] if is_op(node, "Dropout") else []
        if not is_op(node, "Identity", "Dropout") or any(graph.consumers(mask) for mask in masks):
            continue
        if not any(graph.is_output(name) for name in node.output):
            graph.bypass(node)


def _move_integers_where_not_fused(graph: Graph) -> None:
    """Remove DequantizeLinear and QuantizeLinear around moving nodes that onnxruntime would leave in float.

    So for Clip. A Reshape next to one of those follows it. A Concat of equal parameters as well: it is fused to one
    that looks up every byte.
    """
    for node in graph.sorted_nodes():
        if is_op(node, *NOT_FUSED) or (is_op(node, "Reshape") and _next_to_not_fused(graph, node)):
            moving.to_qlinear(graph, node)
        elif is_op(node, *ACTIVATIONS):
            moving.clip_to_qlinear(graph, node) or moving.clip_after_quantize(graph, node)
        elif is_op(node, "Concat"):
            pattern = qdq_pattern(graph, node, through_clip=False)
            pieces = pattern.inputs if pattern is not None else ()
            if pattern is not None and all(piece is not None and piece.by.same_as(pattern.by) for piece in pieces):
                graph.remove(pattern.replaced)
                names = [piece.integers for piece in pieces if piece is not None]
                graph.add("Concat", names, [pattern.integers], name=node.name, axis=attribute(node, "axis"))


def _next_to_not_fused(graph: Graph, node: NodeProto) -> bool:
    """Return whether the next node before or after, past its QuantizeLinear and DequantizeLinear, is not fused."""
    before = graph.producer(node.input[0])
    while before is not None and (is_quantize(before) or is_dequantize(before)):
        before = graph.producer(before.input[0])
    if before is not None and before.op_type in NOT_FUSED:
        return True
    after = graph.consumers(node.output[0])
    while len(after) == 1 and (is_quantize(after[0]) or is_dequantize(after[0])):
        after = graph.consumers(after[0].output[0])
    return any(reader.op_type in NOT_FUSED for reader in after)
