"""GlobalMaxPool, which onnxruntime computes in float only, as ReduceMax, which also computes on integers.

The largest integer stands for the largest number: nothing is rounded. The way back is that of every moving operator.
"""

from __future__ import annotations

import numpy as np

from quantize.formats.kernels import has_kernel
from quantize.formats.parameters import add_dequantize, add_quantize
from quantize.formats.qdq_pattern import QdqPattern, clip_integers
from quantize.graph.view import Graph

FIRST_SPATIAL_AXIS = 2
AXES_AS_INPUT_FROM = 18


def to_qlinear(graph: Graph, pattern: QdqPattern) -> bool:
    """Replace the pattern around a GlobalMaxPool by a ReduceMax of integers; requantize its result where needed."""
    x, shape = pattern.inputs[0], graph.shapes().get(pattern.node.input[0])
    if x is None or not pattern.suits(x) or shape is None:
        return False
    if not pattern.any_kernel and not has_kernel(graph, "ReduceMax", [x.integers], pattern.types):
        return False
    graph.remove(pattern.replaced)
    output = clip_integers(graph, pattern.bounds, pattern.by, pattern.integers)
    same = x.by.same_as(pattern.by)
    largest = output if same else graph.fresh(f"{output}_moved")
    axes = np.arange(FIRST_SPATIAL_AXIS, len(shape))
    if graph.opset >= AXES_AS_INPUT_FROM:
        inputs, given = [x.integers, graph.add_constant(f"{output}_axes", axes)], None
    else:
        inputs, given = [x.integers], [int(axis) for axis in axes]
    graph.add("ReduceMax", inputs, [largest], name=pattern.node.name, axes=given, keepdims=1)
    if not same:
        add_quantize(graph, add_dequantize(graph, largest, x.by), pattern.by, output)
    return True
