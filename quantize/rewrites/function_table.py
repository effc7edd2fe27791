"""Any function of a quantized tensor by its 256 values.

onnxruntime has no operator that looks a byte up: GatherElements does, by indices of four bytes, in 0.6 ns a value on
any CPU. That beats what it has no vector instructions for (Softplus and with it Mish: 9.6 ns; Elu, Selu: 1.6) and Gelu
without AVX-512 (1.04), and nothing else. So it is tried where it is timed, and only there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from quantize.graph.nodes import is_op
from quantize.graph.shapes import Shape, fixed_sizes
from quantize.graph.view import Graph
from quantize.rewrites.functions import QuantizedFunction, quantized_functions, still_in_float
from quantize.rewrites.protocol import Declaration, Rewrite, shown_faster

_HAS_INTEGER_FORM = ("LeakyRelu", "Sigmoid")


def _apply(graph: Graph) -> Sequence[str]:
    found = [function for function in quantized_functions(graph) if not is_op(function.nodes[-1], *_HAS_INTEGER_FORM)]
    shapes = graph.shapes() if found else {}
    return [function.name for function in found if _rewrite(graph, function, shapes.get(function.value))]


def _rewrite(graph: Graph, function: QuantizedFunction, shape: Shape | None) -> bool:
    sizes = fixed_sizes(shape[1:]) if shape is not None and len(shape) > 1 else None
    # A pole on the grid (1 / 0) may have to compute in float: the check of every layer knows it by its nodes.
    if sizes is None or not np.isfinite(values := function.on_grid(graph)).all():
        return False
    name = function.name
    # Of any batch, and in a form from which shapes can be inferred.
    whole = graph.add_constant(f"{name}_shape", np.array([-1, *sizes], np.int64))
    # An index below 0 counts from the end: so signed integers find their values by their bits, too.
    table = graph.add_constant(f"{name}_table", function.result.quantize(values).reshape(1, -1))
    row = graph.add_constant(f"{name}_row", np.array([1, -1], np.int64))
    flat, indices, looked_up = (graph.fresh(f"{name}_{part}") for part in ("flat", "at", "looked_up"))
    graph.remove([*function.nodes, function.quantize])
    graph.add("Cast", [function.integers], [indices], name=f"{name}_Cast", to=TensorProto.INT32)
    graph.add("Reshape", [indices, row], [flat], name=f"{name}_flat")
    graph.add("GatherElements", [table, flat], [looked_up], name=name, axis=1)
    graph.add("Reshape", [looked_up, whole], [function.quantize.output[0]], name=f"{name}_Reshape")
    return True


FUNCTION_TABLE = Rewrite(
    "function-table", Declaration("rounding", 0.05), _apply, still_in_float, shown_faster, only_measured=True
)
"""Every function of one tensor of known sizes that has no integer operator. Float32 may round otherwise."""
