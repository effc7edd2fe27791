"""The integer type of a quantized tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from quantize.formats.operators.moving import moves_values
from quantize.formats.parameters import is_quantize
from quantize.graph.view import Graph


def integer_type(graph: Graph, name: str, zero_point: str = "") -> np.dtype[Any] | None:
    """Return the type of a quantized tensor, or None where the graph does not tell it.

    Args:
        graph: The graph in any format.
        name: The tensor.
        zero_point: Its zero point, which has the same type; "" where there is none.
    """
    for constant in (zero_point, name):
        values = graph.constant(constant) if constant else None
        if values is not None:
            return values.dtype
    maker = graph.producer(name)
    if maker is None:
        return _declared(graph, name)
    if maker.op_type == "DynamicQuantizeLinear":
        return np.dtype(np.uint8)
    if is_quantize(maker):
        # Without a zero point, QuantizeLinear makes uint8 (ONNX operator text).
        given = graph.constant(maker.input[2]) if len(maker.input) > 2 and maker.input[2] else np.zeros((), np.uint8)
        return None if given is None else given.dtype
    return integer_type(graph, maker.input[0]) if moves_values(maker) else None


def _declared(graph: Graph, name: str) -> np.dtype[Any] | None:
    for value in graph.proto.input:
        if value.name == name:
            return np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return None
