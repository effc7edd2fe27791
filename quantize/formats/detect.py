"""Which format a model is in."""

from __future__ import annotations

from typing import Literal

from onnx import ModelProto

from quantize.formats.operators import QLINEAR_OPERATORS
from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.graph.view import Graph

COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def quantized_format(model: ModelProto) -> Literal["qlinear", "qdq", "mixed", "float"]:
    """Return the format of a model: that of its computing nodes where it has quantized ones.

    ``mixed`` means that integer operators stand beside float operators on dequantized weights. A QuantizeLinear or
    DequantizeLinear at the border of float nodes is part of both formats.
    """
    graph = Graph(model)
    operators = any((node.domain, node.op_type) in QLINEAR_OPERATORS for node in graph.nodes)
    borders = any(is_quantize(node) or is_dequantize(node) for node in graph.nodes)
    pairs = any(
        node.op_type in COMPUTING
        and any(
            (maker := graph.producer(name)) is not None
            and is_dequantize(maker)
            and graph.constant(maker.input[0]) is not None
            for name in node.input
        )
        for node in graph.nodes
    )
    if operators:
        return "mixed" if pairs else "qlinear"
    return "qdq" if borders else "float"
