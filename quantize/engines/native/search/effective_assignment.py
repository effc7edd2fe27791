"""What an assignment changes in the graph: an op between tensors that are on a grid anyway runs in int8 regardless.

In a QDQ graph the tensors carry the quantization, not the ops. An Add whose inputs are made, and whose output is taken,
by int8 ops stands between DequantizeLinear and QuantizeLinear whether or not it is excluded, and onnxruntime makes an
int8 Add of it when a session opens. Keeping it in fp32 on paper only would give the same candidate another name.
"""

from __future__ import annotations

from quantize.engines.native.search.assignment import Costs
from quantize.engines.native.search.units import Unit

TENSORS_ONLY = frozenset({"Add", "GlobalAveragePool", "Mul"})
"""Ops that are quantized by their tensors alone: no weights, and no grid that depends on the op."""


def effective(costs: Costs, float_units: frozenset[str]) -> frozenset[str]:
    """Return an assignment without the units whose being in fp32 changes nothing in the graph.

    Args:
        costs: The model as units; fixed units stay as they are.
        float_units: Units in fp32.
    """
    left = float_units
    while True:
        idle = {
            unit.name
            for unit in costs.graph.units
            if unit.name in left and unit.name not in costs.fixed and _is_idle(costs, unit, left)
        }
        if not idle:
            return left
        left -= idle


def _is_idle(costs: Costs, unit: Unit, float_units: frozenset[str]) -> bool:
    if unit.op_type not in TENSORS_ONLY or unit.has_constants or len(unit.nodes) > 1:
        return False
    return all(_is_on_grid(costs, tensor, float_units) for tensor in (*unit.inputs, unit.output))


def _is_on_grid(costs: Costs, tensor: str, float_units: frozenset[str]) -> bool:
    """Return whether an int8 op makes or takes a tensor; one that only moves values asks for no grid by itself."""
    maker = costs.graph.producers.get(tensor)
    touching = (*([maker] if maker is not None else []), *costs.graph.consumers.get(tensor, ()))
    return any(unit.name not in float_units and not unit.moving for unit in touching)
