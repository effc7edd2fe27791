"""Adding an operator that moves values between quantized tensors of equal parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quantize.formats.parameters import Parameters, add_dequantize, add_quantize
from quantize.graph.view import Graph


def add_move(
    graph: Graph, op_type: str, value: str, by: Parameters, *, name: str, further: Sequence[str] = (), **attributes: Any
) -> str:
    """Add a moving operator with its QuantizeLinear and DequantizeLinear.

    Args:
        graph: In canonical form.
        op_type: The operator.
        value: The dequantized tensor that it reads.
        by: The parameters of that tensor, which are those of the result too.
        name: The node's name; its tensors are named after it.
        further: Further inputs of the operator.
        attributes: Its attributes.

    Returns:
        The name of the result, dequantized.
    """
    moved, integers = graph.fresh(f"{name}_float"), graph.fresh(name)
    graph.add(op_type, [value, *further], [moved], name=name, **attributes)
    add_quantize(graph, moved, by, integers)
    return add_dequantize(graph, integers, by, graph.fresh(f"{integers}_dequantized"))
