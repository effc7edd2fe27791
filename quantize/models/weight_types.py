"""The number types that a model's weights are stored in."""

from __future__ import annotations

import math
from collections import Counter

from onnx import ModelProto, TensorProto

from quantize.graph.nodes import MICROSOFT, all_nodes, all_tensors, attribute, operator_of

FLOATS = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "bf16",
    TensorProto.DOUBLE: "fp64",
    **{
        number: f"fp{name.removeprefix('FLOAT')[0]}"  # FLOAT8E4M3FN; which there are depends on the installed onnx
        for name, number in TensorProto.DataType.items()
        if name.startswith(("FLOAT8", "FLOAT4"))
    },
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
_BITS_OF_A_BYTE = 8


def weight_types(model: ModelProto) -> tuple[str, ...]:
    """Return what a model's constants are of, of the types that weights have: ``("int8", "fp32")``; most values first.

    Args:
        model: In any format.
    """
    packed = _packed_bits(model)
    counts: Counter[str] = Counter()
    for tensor in all_tensors(model.graph):
        bits = packed.get(tensor.name)
        if bits is not None:
            counts[f"int{bits}"] += math.prod(tensor.dims) * _BITS_OF_A_BYTE // bits
        elif tensor.data_type in _NAMES:
            counts[_NAMES[tensor.data_type]] += math.prod(tensor.dims)
    return tuple(name for name, _ in counts.most_common())


def _packed_bits(model: ModelProto) -> dict[str, int]:
    """Return the bits of each weight that is stored as bytes of several, by the tensor's name."""
    return {
        node.input[1]: int(attribute(node, "bits", 4))
        for node in all_nodes(model.graph)
        if operator_of(node) == (MICROSOFT, "MatMulNBits")
    }
