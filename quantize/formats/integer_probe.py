"""Asks the installed onnxruntime whether a node computes on integers, with a model of that one node."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.errors import ModelError
from quantize.formats.operators import FLOAT_OPERATORS
from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.formats.qlinear import to_qlinear
from quantize.graph.nodes import ACTIVATIONS, INTEGER_WEIGHTED, is_op, moves_values, take_attribute
from quantize.graph.view import Graph
from quantize.models.session import open_session

Answer = tuple[Literal["operator", "kernel", "form"], str]

_BIAS = 2
_SMALL = 64
"""Constants of up to so many elements, such as axes and bounds, are given to the probe; of others the type and rank."""
_CHANNELS = 4
"""Channels of a probe's weights at most: their number decides no kernel."""
_IR_VERSION = 10
_SCALES = (0.5, 0.25)
_ZERO_POINTS = {"uint8": 128, "int8": 0}


@dataclass(frozen=True)
class Operand:
    """What is known of one input of a node before it runs.

    Attributes:
        elem_type: ONNX's number of the element type.
        rank: Number of dimensions; None where it is unknown.
        shape: Sizes of a constant; None for what is computed.
        values: The bytes of a small constant, else None.
    """

    elem_type: int
    rank: int | None
    shape: tuple[int, ...] | None = None
    values: bytes | None = None

    @staticmethod
    def of_constant(values: NDArray[Any]) -> Operand:
        """Return the operand of a constant."""
        elem_type = helper.np_dtype_to_tensor_dtype(values.dtype)
        stored = values.tobytes() if values.size <= _SMALL else None
        return Operand(elem_type, values.ndim, values.shape, stored)


def integer_form(
    node: NodeProto,
    operands: tuple[Operand | None, ...],
    results: tuple[bool, ...],
    opset: int,
    activation_type: str,
    weight_type: str,
) -> Answer | None:
    """Return None if a node between quantized tensors computes on integers, else why it does not.

    Args:
        node: The float node.
        operands: One per input; None for one that is left out.
        results: One per output: whether it is a float tensor.
        opset: Of the graph.
        activation_type: Integer type of its data, ``uint8`` or ``int8``.
        weight_type: Integer type of its weights.
    """
    own = NodeProto()
    own.CopyFrom(node)
    for field in ("name", "doc_string"):
        own.ClearField(field)
    own.input[:] = [f"x{at}" if operand is not None else "" for at, operand in enumerate(operands)]
    own.output[:] = [f"y{at}" if name else "" for at, name in enumerate(node.output)]
    take_attribute(own, "group")
    if not is_op(node, *INTEGER_WEIGHTED):
        sizes = operands
    else:
        sizes = tuple(operand and Operand(operand.elem_type, operand.rank, operand.shape) for operand in operands)
    return _asked(own.SerializeToString(deterministic=True), sizes, results, opset, activation_type, weight_type)


@cache
def _asked(
    serialized: bytes,
    operands: tuple[Operand | None, ...],
    results: tuple[bool, ...],
    opset: int,
    activation_type: str,
    weight_type: str,
) -> Answer | None:
    node = NodeProto.FromString(serialized)
    known = node.op_type in FLOAT_OPERATORS or moves_values(node) or is_op(node, *ACTIVATIONS)
    if not known:
        return "operator", ""
    answer: Answer = ("form", "")
    # A Clip works on integers between equal grids, a Concat is another operator then.
    for scales in (_SCALES, _SCALES[:1] * 2):
        probe = _between_integers(node, operands, results, opset, scales, (activation_type, weight_type))
        try:
            integers = to_qlinear(probe, opset=opset, any_kernel=True)
        except ModelError as error:
            answer = ("form", str(error).splitlines()[0])
            continue
        if _has_floats(integers):
            continue
        try:
            open_session(integers.SerializeToString(), optimization="none")
        except ModelError:
            answer = ("kernel", ", ".join(sorted({own.op_type for own in integers.graph.node} - {"DequantizeLinear"})))
            continue
        return None
    return answer


def _has_floats(model: ModelProto) -> bool:
    """Return whether any node but a QuantizeLinear or DequantizeLinear takes or gives floats."""
    graph = Graph.of(model)
    for node in graph.nodes:
        if is_quantize(node) or is_dequantize(node):
            continue
        makers = [graph.producer(name) for name in node.input]
        readers = [reader for name in node.output for reader in graph.consumers(name)]
        if any(map(is_dequantize, makers)) or any(map(is_quantize, readers)):
            return True
    return False


def _between_integers(
    node: NodeProto,
    operands: tuple[Operand | None, ...],
    results: tuple[bool, ...],
    opset: int,
    scales: tuple[float, ...],
    kinds: tuple[str, str],
) -> ModelProto:
    """Return a model of a node whose data are dequantized and whose results are quantized."""
    graph = GraphProto(name="probe")
    for at, scale in enumerate(scales):
        graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), f"scale{at}"))
    for kind in dict.fromkeys(kinds):
        # No end of the integers stands for zero: a Relu has something to do.
        graph.initializer.append(numpy_helper.from_array(np.array(_ZERO_POINTS[kind], kind), f"zero_{kind}"))
    for at, operand in enumerate(operands):
        if operand is None:
            continue
        # Quantizers give a constant on the left of a MatMul the weights' type too.
        is_weight = at < _BIAS and operand.shape is not None and is_op(node, *INTEGER_WEIGHTED)
        if is_data(node, at, operand):
            kind = kinds[1] if is_weight else kinds[0]
            _add_operand(graph, f"q{at}", operand, kind, node)
            _add_conversion(graph, "DequantizeLinear", (f"q{at}", "scale0", f"zero_{kind}"), f"x{at}")
        else:
            _add_operand(graph, f"x{at}", operand, None, node)
    graph.node.append(node)
    for at, is_float in enumerate(results):
        if is_float:
            _add_conversion(graph, "QuantizeLinear", (f"y{at}", "scale1", f"zero_{kinds[0]}"), f"r{at}")
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(kinds[0]))
            graph.output.append(helper.make_tensor_value_info(f"r{at}", kind, None))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_IR_VERSION)


def is_data(node: NodeProto, at: int, operand: Operand) -> bool:
    """Return whether an input is on a grid of its own: not a bias, nor what says how a node moves or confines values.

    Args:
        node: The float node.
        at: The input's place.
        operand: What is known of it.
    """
    if operand.elem_type != TensorProto.FLOAT:
        return False
    if is_op(node, *INTEGER_WEIGHTED):
        return at < _BIAS
    return at == 0 or node.op_type in FLOAT_OPERATORS


def _add_conversion(graph: GraphProto, op_type: str, inputs: tuple[str, str, str], output: str) -> None:
    graph.node.append(helper.make_node(op_type, inputs, [output], name=output))


def _add_operand(graph: GraphProto, name: str, operand: Operand, kind: str | None, node: NodeProto) -> None:
    dtype = np.dtype(kind) if kind is not None else helper.tensor_dtype_to_np_dtype(operand.elem_type)
    shape = operand.shape
    if shape is not None and (kind is not None or operand.values is not None or math.prod(shape) <= _SMALL):
        values: NDArray[Any]
        if operand.values is not None and kind is None:
            values = np.frombuffer(operand.values, dtype).reshape(shape)
        else:
            values = np.zeros(_capped(shape), dtype)
        graph.initializer.append(numpy_helper.from_array(values, name))
        return
    if shape is not None and is_op(node, *INTEGER_WEIGHTED):
        graph.initializer.append(numpy_helper.from_array(np.zeros(_capped(shape), dtype), name))
        return
    dimensions = None if operand.rank is None else [f"{name}_{axis}" for axis in range(operand.rank)]
    elem_type = helper.np_dtype_to_tensor_dtype(dtype)
    graph.input.append(helper.make_tensor_value_info(name, elem_type, dimensions))


def _capped(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape with few channels; a kernel's sizes have to be as the node says."""
    return tuple(min(size, _CHANNELS) if axis < _BIAS else size for axis, size in enumerate(shape))
