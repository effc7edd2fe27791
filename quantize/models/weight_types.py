"""The number types that a model's weights are stored in."""

from __future__ import annotations

import math
from collections import Counter

from onnx import ModelProto, TensorProto

from quantize.graph.nodes import all_tensors

FLOATS = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "bf16",
    TensorProto.DOUBLE: "fp64",
}
"""Floating-point types of ONNX, as one calls a model of them."""
_INTEGERS = {
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "int8",
    TensorProto.INT4: "int4",
    TensorProto.UINT4: "int4",
    TensorProto.INT16: "int16",
    TensorProto.UINT16: "int16",
}
_NAMES = {**FLOATS, **_INTEGERS}


def weight_types(model: ModelProto) -> tuple[str, ...]:
    """Return what a model's constants are of, of the types that weights have: ``("int8", "fp32")``; most values first.

    Args:
        model: In any format.
    """
    counts: Counter[str] = Counter()
    for tensor in all_tensors(model.graph):
        if tensor.data_type in _NAMES:
            counts[_NAMES[tensor.data_type]] += math.prod(tensor.dims)
    return tuple(name for name, _ in counts.most_common())
