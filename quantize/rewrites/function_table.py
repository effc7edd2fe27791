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
from quantize.graph.view import Graph
from quantize.rewrites.functions import QuantizedFunction, broken_names, quantized_functions
from quantize.rewrites.protocol import Declaration, Rewrite, shown_faster

_HAS_INTEGER_FORM = ("LeakyRelu", "Sigmoid")


def _apply(graph: Graph) -> Sequence[str]:
    found = [function for function in quantized_functions(graph) if not is_op(function.nodes[-1], *_HAS_INTEGER_FORM)]
    for function in found:
        _rewrite(graph, function)
    return [function.name for function in found]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    return broken_names(graph, names, "is still computed in float")


def _rewrite(graph: Graph, function: QuantizedFunction) -> None:
    name = function.name
    # An index below 0 counts from the end: so signed integers find their values by their bits, too.
    table = graph.add_constant(f"{name}_table", function.table(graph).reshape(1, -1))
    row = graph.add_constant(f"{name}_row", np.array([1, -1], np.int64))
    flat, indices, looked_up, shape = (graph.fresh(f"{name}_{part}") for part in ("flat", "at", "looked_up", "shape"))
    graph.remove([*function.nodes, function.quantize])
    graph.add("Shape", [function.integers], [shape], name=f"{name}_Shape")
    graph.add("Cast", [function.integers], [indices], name=f"{name}_Cast", to=TensorProto.INT32)
    graph.add("Reshape", [indices, row], [flat], name=f"{name}_flat")
    graph.add("GatherElements", [table, flat], [looked_up], name=name, axis=1)
    graph.add("Reshape", [looked_up, shape], [function.quantize.output[0]], name=f"{name}_Reshape")


FUNCTION_TABLE = Rewrite(
    "function-table", Declaration("rounding", 0.05), _apply, _broken, shown_faster, only_measured=True
)
"""Every function of one tensor between quantized tensors that has no integer operator. Float32 may round otherwise."""
