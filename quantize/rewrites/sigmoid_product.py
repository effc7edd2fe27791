"""SiLU of a quantized tensor on the integers: a Sigmoid by a table of onnxruntime's, and a Mul.

Where float arithmetic is slow (AVX2: 0.70 ns a value as one float node, 0.42 like this) it pays; with AVX-512 it does
not (0.28 and 0.43). So it is tried where it is timed, and only there.
"""

from __future__ import annotations

import numpy as np

from quantize.formats.parameters import add_dequantize, add_quantize, new_parameters
from quantize.graph.view import Graph
from quantize.grid.grid import Grid
from quantize.rewrites.functions import QuantizedFunction, on_every, sigmoid_product, still_in_float
from quantize.rewrites.protocol import Declaration, Rewrite, shown_faster


def _rewrite(graph: Graph, function: QuantizedFunction) -> None:
    name = function.name
    grid = Grid.covering(0.0, 1.0, activation_type=function.source.zero_point.dtype)
    gate = new_parameters(graph, f"{name}_gate", np.asarray(grid.scale), grid.zero_point, None)
    sigmoid, integers, product = (graph.fresh(f"{name}_{part}") for part in ("sigmoid", "gate_integers", "product"))
    graph.remove([*function.nodes, function.quantize])
    graph.add("Sigmoid", [function.value], [sigmoid], name=f"{name}_Sigmoid")
    add_quantize(graph, sigmoid, gate, integers)
    graph.add("Mul", [function.value, add_dequantize(graph, integers, gate)], [product], name=name)
    add_quantize(graph, product, function.result, function.quantize.output[0])


SIGMOID_PRODUCT = Rewrite(
    "sigmoid-product",
    Declaration("rounding", 0.1),
    on_every(sigmoid_product(1.0), _rewrite),
    still_in_float,
    shown_faster,
    only_measured=True,
)
"""Every SiLU between quantized tensors. The Sigmoid is rounded to 255 steps from 0 to 1."""
