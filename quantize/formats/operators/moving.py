"""Operators that only move values: they do the same to integers as to the numbers these represent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from quantize.formats.activation_bounds import clip_bounds
from quantize.formats.kernels import has_kernel
from quantize.formats.parameters import Parameters, add_dequantize, add_quantize, is_quantize, node_parameters
from quantize.formats.qdq_pattern import (
    clip_integers,
    constant_values,
    qdq_pattern,
    quantized_input,
)
from quantize.graph.nodes import attribute, attributes
from quantize.graph.view import Graph


def to_qdq(graph: Graph, node: NodeProto) -> bool:
    """Put DequantizeLinear before and QuantizeLinear after a moving node (or a Clip) that works on integers.

    Only where a QuantizeLinear made the integers: then their parameters are known.
    """
    made_by = graph.producer(node.input[0])
    if made_by is None or not is_quantize(made_by):
        return False
    by = node_parameters(graph, made_by)
    if by is None or by.axis is not None:
        return False
    if node.op_type == "Clip":
        constants = _constants(graph, node, by, positions=(1, 2))
    elif node.op_type == "Pad" and attribute(node, "mode", "constant") == "constant":
        constants = _constants(graph, node, by, positions=(2,), default=0)
    else:
        constants = list(node.input[1:])
    if constants is None:
        return False
    value = add_dequantize(graph, node.input[0], by)
    outputs = [graph.fresh(f"{name}_float") if name else "" for name in node.output]
    graph.remove([node])
    graph.add(node.op_type, [value, *constants], outputs, name=node.name, **attributes(node))
    for output, integers in zip(outputs, node.output, strict=True):
        if integers:
            add_quantize(graph, output, by, integers)
    return True


def _constants(
    graph: Graph, node: NodeProto, by: Parameters, *, positions: tuple[int, ...], default: int | None = None
) -> list[str] | None:
    """Return the node's further inputs with those at ``positions`` as real numbers instead of integers."""
    names = list(node.input)
    if default is not None:
        names += [""] * (max(positions) + 1 - len(names))
    for position in positions:
        if position >= len(names):
            continue
        if names[position]:
            integers = graph.constant(names[position])
        else:
            integers = None if default is None else np.array(default, by.zero_point.dtype)
            if integers is None:
                continue
        if integers is None:
            return None
        names[position] = graph.add_constant(f"{node.output[0]}_constant", by.dequantize(integers))
    return names[1:]


def to_qlinear(graph: Graph, node: NodeProto) -> bool:
    """Let a moving node between DequantizeLinear and QuantizeLinear work on the integers.

    Where the parameters before and after differ, the integers are moved first and requantized then: the same numbers.
    """
    source = quantized_input(graph, node.input[0])
    if source is None or source.by.axis is not None:
        return False
    outputs = [name for name in node.output if name]
    if not all(_only_quantized(graph, name) for name in outputs):
        return False
    rest = list(node.input[1:])
    if node.op_type == "Pad" and attribute(node, "mode", "constant") == "constant":
        value = _pad_value(graph, node)
        if value is None:
            return False
        integer = source.by.quantize(value)
        if not np.array_equal(source.by.dequantize(integer), value):
            return False
        rest[1:2] = [graph.add_constant(f"{node.output[0]}_constant", integer.reshape(()))]
    kind = {source.integers: helper.np_dtype_to_tensor_dtype(source.by.zero_point.dtype)}
    kept = attributes(node)
    if not has_kernel(graph, node.op_type, [source.integers, *rest], kind, outputs=len(node.output), **kept):
        return False
    moved = []
    for name in node.output:
        readers = graph.consumers(name)
        by = node_parameters(graph, readers[0]) if readers else None
        if by is None:
            moved.append(graph.fresh(f"{name}_integers") if name else "")
        elif by.same_as(source.by):
            moved.append(readers[0].output[0])
            graph.remove(readers)
        else:
            moved.append(graph.fresh(f"{readers[0].output[0]}_moved"))
            graph.set_input(readers[0], 0, add_dequantize(graph, moved[-1], source.by))
    graph.remove([node])
    graph.add(node.op_type, [source.integers, *rest], moved, name=node.name, **kept)
    return True


def _only_quantized(graph: Graph, name: str) -> bool:
    readers = graph.consumers(name)
    if graph.is_output(name) or len(readers) > 1 or not all(is_quantize(reader) for reader in readers):
        return False
    by = node_parameters(graph, readers[0]) if readers else None
    return not readers or (by is not None and by.axis is None)


def _pad_value(graph: Graph, node: NodeProto) -> NDArray[Any] | None:
    if len(node.input) < 3 or not node.input[2]:
        return np.array(0, np.float32)
    value = constant_values(graph, node.input[2])
    return None if value is None or value.size != 1 else value.reshape(())


def clip_to_qlinear(graph: Graph, node: NodeProto) -> bool:
    """Let a Relu or Clip work on the integers, or remove it where their range implies it.

    Returns:
        Whether it did: the node is a Relu or Clip, and both sides have equal parameters.
    """
    bounds = clip_bounds(graph, node)
    pattern = qdq_pattern(graph, node, through_clip=False) if bounds is not None else None
    source = pattern.inputs[0] if pattern is not None else None
    if bounds is None or pattern is None or source is None or not source.by.same_as(pattern.by):
        return False
    graph.remove(pattern.replaced)
    # Where nothing is left to clip, the tensor itself is what its readers read.
    replaced = clip_integers(graph, bounds, pattern.by, pattern.integers)
    graph.replace_uses(replaced, source.integers)
    return True


def clip_after_quantize(graph: Graph, node: NodeProto) -> bool:
    """Let a Relu or Clip between an integer operator and its QuantizeLinear work on the integers behind that.

    In the QDQ format it would keep the operator from being fused to its QuantizeLinear. One that the range implies
    stays: onnxruntime removes it by itself, and it says what the range stands for.
    """
    bounds = clip_bounds(graph, node)
    maker = graph.producer(node.input[0]) if bounds is not None else None
    pattern = qdq_pattern(graph, maker) if maker is not None else None
    if bounds is None or pattern is None or len(pattern.replaced) != 3 or bounds.carried_by(pattern.by):
        return False
    if any(name and piece is None for name, piece in zip(pattern.node.input, pattern.inputs, strict=True)):
        return False
    graph.remove(pattern.replaced[1:])
    add_quantize(graph, node.input[0], pattern.by, clip_integers(graph, bounds, pattern.by, pattern.integers))
    return True
