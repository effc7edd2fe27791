"""HardSwish of a quantized tensor on the integers: an Add that saturates, and a Mul.

``x * min(max(x + 3, 0), 6) / 6``: the sum ``x + 3`` on a grid from 0 to 6 is clipped by saturating, and read with a
scale of a sixth it is the other factor. onnxruntime has vector instructions for both. In float it dequantizes x twice.
"""

from __future__ import annotations

import numpy as np

from quantize.formats.parameters import add_dequantize, add_quantize, new_parameters
from quantize.graph.view import Graph
from quantize.grid.grid import Grid
from quantize.rewrites.functions import QuantizedFunction, hard_swish, on_every, still_in_float
from quantize.rewrites.protocol import Declaration, Rewrite, shown_not_slower

_SHIFT, _WIDTH = 3.0, 6.0


def _rewrite(graph: Graph, function: QuantizedFunction) -> None:
    name, kind = function.name, function.source.zero_point.dtype
    grid = Grid.covering(0.0, _WIDTH, activation_type=kind)
    gate = new_parameters(graph, f"{name}_gate", grid.scale, grid.zero_point, None)
    share = new_parameters(graph, f"{name}_share", grid.scale / np.float32(_WIDTH), grid.zero_point, None)
    three = new_parameters(graph, f"{name}_three", _SHIFT, np.array(0, kind), None)
    shift = add_dequantize(graph, graph.add_constant(f"{name}_shift", np.array(1, kind)), three)
    total, integers, product = (graph.fresh(f"{name}_{part}") for part in ("sum", "gate_integers", "product"))
    graph.remove([*function.nodes, function.quantize])
    graph.add("Add", [function.value, shift], [total], name=f"{name}_Add")
    add_quantize(graph, total, gate, integers)
    graph.add("Mul", [function.value, add_dequantize(graph, integers, share)], [product], name=name)
    add_quantize(graph, product, function.result, function.quantize.output[0])


HARD_SWISH = Rewrite(
    "hard-swish",
    Declaration("rounding", 0.1),
    on_every(hard_swish, _rewrite),
    still_in_float,
    shown_not_slower,
)
"""Every HardSwish between quantized tensors, however it is written. The factor is rounded to 255 steps from 0 to 1."""
