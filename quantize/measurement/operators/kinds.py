"""What each executed node computes: int8 arithmetic, fp32 arithmetic (and why), or a conversion between the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, numpy_helper

from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.graph.view import Graph
from quantize.measurement.operators.trace import NodeTrace
from quantize.recipe import Recipe

Kind = Literal["int8", "fp32", "conversion"]

CONVERSIONS = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "Cast",
        "Transpose",
        "ReorderInput",
        "ReorderOutput",
        "SpaceToDepth",
        "DepthToSpace",
    }
)
"""Operators that compute nothing: they change the type, the scale or the layout of values."""
_EIGHT_BITS = ("uint8", "int8")


def requantizing_concats(optimized: ModelProto) -> frozenset[str]:
    """Return the names of QLinearConcat nodes whose inputs differ from the output in scale or zero point.

    onnxruntime copies an input with the output's parameters, and maps every byte of the others through a table.

    Args:
        optimized: The graph that onnxruntime runs.
    """
    values = {tensor.name: tensor for tensor in optimized.graph.initializer}
    names = set()
    for node in optimized.graph.node:
        if node.op_type == "QLinearConcat":
            # Y_scale, Y_zero_point, then tensor, scale and zero point of each input.
            parameters = [
                _parameters(node.input[at], node.input[at + 1], values) for at in range(3, len(node.input), 3)
            ]
            wanted = _parameters(node.input[0], node.input[1], values)
            if any(own is None or own != wanted for own in parameters):
                names.add(node.name)
    return frozenset(names)


def kind_of(node: NodeTrace, requantizing: frozenset[str]) -> Kind:
    """Return the kind of a node, from its operator and the types that it ran on.

    Args:
        node: The node as it ran.
        requantizing: The result of ``requantizing_concats``.
    """
    if node.op_type in CONVERSIONS or (node.op_type == "QLinearConcat" and node.name in requantizing):
        return "conversion"
    data = [kind for kind, shape in node.inputs if shape] or [kind for kind, _ in node.inputs]
    return "int8" if data and data[0] in _EIGHT_BITS else "fp32"


def _parameters(scale: str, zero_point: str, values: Mapping[str, object]) -> tuple[object, ...] | None:
    if scale not in values or zero_point not in values:
        return None
    return tuple(_value(values[name]).tolist() for name in (scale, zero_point))


def _value(tensor: object) -> npt.NDArray[np.generic]:
    return np.asarray(numpy_helper.to_array(tensor)).reshape(-1)


def float_reason(candidate: Graph, origin: str | None, op_type: str, recipe: Recipe | None) -> str:
    """Return the reason in a few words.

    Args:
        candidate: The quantized model as it was saved.
        origin: Name of the fp32 model's node, where it is known.
        op_type: Its operator there.
        recipe: What the model was made by, if known.
    """
    if recipe is not None and (origin in recipe.float_nodes or op_type in recipe.float_op_types):
        return "kept by the recipe"
    node = candidate.node(origin) if origin is not None else None
    if node is None or node.op_type != op_type:
        return "not quantized"
    data = [name for name in node.input if name and candidate.tensor(name) is None]
    quantized = [is_dequantize(candidate.producer(name)) for name in data]
    after = [reader for name in node.output for reader in candidate.consumers(name)]
    leaves = bool(after) and all(is_quantize(reader) for reader in after)
    if all(quantized) and leaves:
        return "no int8 kernel: runs between DQ and Q"
    if quantized and quantized[0] and not leaves:
        return "result not quantized"
    if any(quantized) and not quantized[0]:
        return "only weights quantized"
    return "not quantized"
