"""SiLU and Gelu of a quantized tensor as the one node that onnxruntime has for them.

onnxruntime makes one node of them by itself in a float model. Behind a DequantizeLinear it does not: it gives each
reader a DequantizeLinear of its own first, and then does not see that both read the same tensor.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantize.graph.regions import ONE_NODE
from quantize.graph.view import Graph
from quantize.rewrites.functions import (
    QuantizedFunction,
    broken_names,
    gelu,
    gelu_by_tanh,
    is_same,
    quantized_functions,
    sigmoid_product,
)
from quantize.rewrites.protocol import Declaration, Rewrite, shown_not_slower

_STEEP = 1.702


def _apply(graph: Graph) -> Sequence[str]:
    return [function.name for function in list(quantized_functions(graph)) if _rewrite(graph, function)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    many = [function.name for function in quantized_functions(graph) if len(function.nodes) > 1]
    return broken_names(graph, [name for name in names if name in many], "is still computed by several nodes")


def _rewrite(graph: Graph, function: QuantizedFunction) -> bool:
    if len(function.nodes) == 1:
        return False
    tried = function.tried(graph)
    for op_type, attributes, known in (
        ("QuickGelu", {"alpha": 1.0}, sigmoid_product(1.0)),
        ("QuickGelu", {"alpha": _STEEP}, sigmoid_product(_STEEP)),
        ("Gelu", {}, gelu),
        ("FastGelu", {}, gelu_by_tanh),
    ):
        if is_same(tried, known):
            graph.remove(function.nodes)
            output = list(function.nodes[-1].output)
            graph.add(op_type, [function.value], output, name=function.name, domain=ONE_NODE[op_type], **attributes)
            return True
    return False


ONE_NODE_FUNCTIONS = Rewrite("one-node-functions", Declaration("rounding", 0.05), _apply, _broken, shown_not_slower)
"""Every SiLU and Gelu between quantized tensors that several nodes compute. Float32 rounds otherwise in between."""
