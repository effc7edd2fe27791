"""Sets of operators, and what nodes and graphs say by themselves: attributes, inputs, subgraphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

DEFAULT_DOMAIN = ""
DEFAULT_DOMAINS = (DEFAULT_DOMAIN, "ai.onnx")
MICROSOFT = "com.microsoft"

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that multiply an activation with weights."""

INTEGER_WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Those of them that onnxruntime computes on integers."""

MATRIX_PRODUCTS = ("Gemm", "MatMul")
"""Those of them that multiply matrices."""

ACTIVATIONS = ("Relu", "Clip")
"""Operators that only confine values: the range of a quantized tensor can stand for them."""

NORMALIZING = ("Softmax", "LogSoftmax", "Hardmax")

RESHAPING = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
"""Operators that keep every value, and the order of the values."""

SCORE_KEEPING = ("Softmax", "LogSoftmax", "Sigmoid", *RESHAPING)
"""Operators after which the scores still rank the classes as before."""

LINEAR = ("QuantizeLinear", "DequantizeLinear")
"""Operators between real numbers and integers."""

MOVING = (
    *("DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "MaxPool", "Pad"),
    *("ReduceMax", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
)
"""Operators that only move values: they do the same to integers as to the numbers these represent."""

RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
"""Operators that draw anew in every run of a session, with a seed too."""

_GRAPHS = (AttributeProto.GRAPH, AttributeProto.GRAPHS, AttributeProto.UNDEFINED)
"""Types of attributes that may hold graphs; the oldest models do not state any."""

_NUMBERS = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


def default_opset(model: ModelProto) -> int:
    """Return the version of the default operator set (1 where the model names none, as the format's rule says)."""
    return next((int(entry.version) for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS), 1)


def operator_of(node: NodeProto) -> tuple[str, str]:
    """Return a node's domain, the default one by one name, and its type."""
    return DEFAULT_DOMAIN if node.domain in DEFAULT_DOMAINS else node.domain, node.op_type


def holds_graphs(node: NodeProto) -> bool:
    """Return whether a node has graphs in its attributes."""
    return any(True for _ in subgraphs(node))


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs in a node's attributes, such as the branches of an If."""
    for entry in node.attribute:
        if entry.type not in _GRAPHS:  # most, and asking for each graph takes longer
            continue
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
    yield from filter(None, node.input)
    yield from body_reads(node)


def body_reads(node: NodeProto) -> Iterator[str]:
    """Yield the names that the graphs inside a node take from outside."""
    for inner in subgraphs(node):
        made = _made_in(inner)
        for own in inner.node:
            yield from (name for name in reads(own) if name not in made)
        yield from (value.name for value in inner.output if value.name not in made)


def rename_reads(node: NodeProto, old: str, new: str) -> None:
    """Let a node read ``new`` wherever it, or a graph inside it, reads ``old``. In place."""
    for position, name in enumerate(node.input):
        if name == old:
            node.input[position] = new
    for inner in subgraphs(node):
        if old in _made_in(inner):
            continue
        for own in inner.node:
            rename_reads(own, old, new)
        for value in inner.output:
            if value.name == old:
                value.name = new


def _made_in(graph: GraphProto) -> set[str]:
    made = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    return made | {value.name for value in graph.input}


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute, or the default if it is not set; strings come as str."""
    for entry in node.attribute:
        if entry.name == name:
            value = helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default


def attributes(node: NodeProto, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return all attributes of a node but some."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute if entry.name not in without}


def take_attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Remove an attribute of a node and return its value."""
    value = attribute(node, name, default)
    for entry in [entry for entry in node.attribute if entry.name == name]:
        node.attribute.remove(entry)
    return value


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Set an attribute of a node."""
    take_attribute(node, name)
    node.attribute.append(helper.make_attribute(name, value))


def is_op(node: NodeProto, *op_types: str) -> bool:
    """Return whether a node is one of these operators of the default domain."""
    return node.op_type in op_types and node.domain in DEFAULT_DOMAINS


def moves_values(node: NodeProto) -> bool:
    """Return whether every value of the node's outputs is one of its first input's (or a Pad's constant)."""
    if not is_op(node, *MOVING):
        return False
    if node.op_type == "MaxPool":
        return len([name for name in node.output if name]) == 1
    if node.op_type == "Resize":
        return bool(attribute(node, "mode", "nearest") == "nearest")
    return True


def explicit_pads(node: NodeProto, sizes: Sequence[int], kernel: Sequence[int]) -> list[int] | None:
    """Return the pads of a node as ``[before of each axis, after of each axis]`` (ONNX operator text of Conv).

    Args:
        node: With attribute ``pads`` or ``auto_pad``, or neither.
        sizes: The input's spatial sizes.
        kernel: The kernel's sizes.

    Returns:
        The pads; None if ``auto_pad`` meets a kernel so small that it would cut (runtimes disagree there).
    """
    auto = attribute(node, "auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        return list(attribute(node, "pads", [0] * 2 * len(sizes)))
    if auto == "VALID":
        return [0] * 2 * len(sizes)
    strides = attribute(node, "strides", [1] * len(sizes))
    dilations = attribute(node, "dilations", [1] * len(sizes))
    before, after = [], []
    for size, length, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        reach = (length - 1) * dilation + 1
        total = (-(-size // stride) - 1) * stride + reach - size
        if total < 0:
            return None
        smaller, larger = total // 2, total - total // 2
        before.append(smaller if auto == "SAME_UPPER" else larger)
        after.append(larger if auto == "SAME_UPPER" else smaller)
    return before + after


def constant_value(node: NodeProto) -> TensorProto | None:
    """Return what a Constant node gives, named as its output; None for sparse values and strings."""
    (entry,) = node.attribute
    if entry.name == "value":
        tensor = TensorProto()
        tensor.CopyFrom(entry.t)
        tensor.name = node.output[0]
        return tensor
    if entry.name in _NUMBERS:
        values = np.asarray(attribute(node, entry.name), dtype=_NUMBERS[entry.name])
        return numpy_helper.from_array(values, node.output[0])
    return None


def replace_all(field: Any, messages: Iterable[Any]) -> None:
    """Let a repeated field of a protocol buffer hold these messages, some of which may be its own."""
    kept = list(messages)
    del field[:]
    field.extend(kept)
