"""A float Add of a constant behind a product of integers, as the product's own int32 bias.

onnxruntime merges MatMul and Add to a Gemm before it looks for integer products, and then finds none, because the
bias is float: the product runs in float. A Gemm whose bias is int32 in units of both scales is found.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from quantize.formats.bias import bias_scale, rounded_bias
from quantize.formats.parameters import add_dequantize, new_parameters
from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.view import Graph

COLUMNS = 1


def gemm_from_matmul(graph: Graph, add: NodeProto) -> bool:
    """Replace ``MatMul(a, b) + constant`` by a Gemm: a and b quantized matrices, b constant, one bias a column.

    The bias is rounded to a 255th of the smallest step of the product, or finer.

    Returns:
        Whether the Add was of that kind and is gone.
    """
    products = [
        maker for name in add.input if (maker := graph.producer(name)) is not None and maker.op_type == "MatMul"
    ]
    if len(products) != 1:
        return False
    matmul = products[0]
    constant = next(name for name in add.input if name != matmul.output[0])
    a, b = (quantized_input(graph, name) for name in matmul.input)
    weight = graph.constant(b.integers) if b is not None else None
    if a is None or a.by.axis is not None or b is None or weight is None or weight.ndim != 2:
        return False
    if b.by.axis not in (None, COLUMNS) or graph.consumers(matmul.output[0]) != [add]:
        return False
    bias = _values(graph, constant)
    if bias is None or bias.size != weight.shape[1] or len(graph.shapes().get(matmul.input[0], ())) != 2:
        return False
    scale = bias_scale(a.by, b.by)
    by = new_parameters(graph, f"{add.name}_bias", scale, np.zeros(scale.shape, np.int32), 0 if scale.ndim else None)
    integers = graph.add_constant(f"{add.name}_bias", rounded_bias(bias.ravel(), scale))
    graph.remove([matmul, add])
    inputs = [*matmul.input, add_dequantize(graph, integers, by)]
    graph.add("Gemm", inputs, list(add.output), name=matmul.name)
    return True


def _values(graph: Graph, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None:
    found = quantized_input(graph, name)
    if found is None:
        return graph.constant(name)
    integers = graph.constant(found.integers)
    return None if integers is None else found.by.dequantize(integers)
