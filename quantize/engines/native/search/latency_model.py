"""The time of any assignment, predicted from one profile of the fp32 model and of the all-int8 one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantize.engines.native.search.profiled_times import ProfiledTimes, TimedOp
from quantize.engines.native.search.tensor_users import Borders
from quantize.engines.native.search.units import UnitGraph


@dataclass(frozen=True)
class LatencyModel:
    """Times of a model's parts for one run, in nanoseconds.

    Attributes:
        float_ns: By unit, in fp32.
        int8_ns: By unit, quantized.
        enter_ns: Of putting one value on eight bits where fp32 meets int8, layout included.
        leave_ns: Of taking one value off eight bits.
        rest_ns: Of everything that no assignment changes: ops that are never quantized.
    """

    float_ns: Mapping[str, float]
    int8_ns: Mapping[str, float]
    enter_ns: float
    leave_ns: float
    rest_ns: float

    def predicted(self, graph: UnitGraph, borders: Borders, float_units: frozenset[str]) -> float:
        """Return the time of the assignment that keeps ``float_units`` in fp32, in nanoseconds."""
        total = self.rest_ns
        for unit in graph.units:
            total += self.float_ns[unit.name] if unit.name in float_units else self.int8_ns[unit.name]
        for tensor in borders.tensors:
            makes = borders.is_int8_maker(tensor, float_units)
            takers = borders.takers(tensor, float_units)
            if not makes and True in takers:
                total += self.enter_ns * graph.elements[tensor]
            if makes and False in takers:
                total += self.leave_ns * borders.leaving(tensor)
        return total


def latency_model(times: ProfiledTimes, graph: UnitGraph, borders: Borders) -> LatencyModel:
    """Return the model that a profile gives.

    Each op's time goes to the unit that it computes; a unit that did not run in one of the two (folded into its
    neighbour) has taken no time there. Conversions in the all-int8 profile give the time for one value.
    """
    names = _unit_of_node(graph)
    float_ns, _ = _by_unit(times.baseline, names)
    int8_ns, int8_rest = _by_unit(times.candidate, names)
    everything = frozenset[str]()
    entering = sum(
        graph.elements[tensor]
        for tensor in borders.tensors
        if not borders.is_int8_maker(tensor, everything) and True in borders.takers(tensor, everything)
    )
    leaving = sum(
        borders.leaving(tensor)
        for tensor in borders.tensors
        if borders.is_int8_maker(tensor, everything) and False in borders.takers(tensor, everything)
    )
    converting = sum(op.time_ns for op in times.candidate if op.kind == "conversion" and op.origin is None)
    per_value = converting / max(entering + leaving, 1)
    units = {unit.name for unit in graph.units}
    return LatencyModel(
        float_ns={name: float_ns.get(name, 0.0) for name in units},
        int8_ns={name: int8_ns.get(name, 0.0) for name in units},
        enter_ns=per_value,
        leave_ns=per_value,
        rest_ns=int8_rest,
    )


def _unit_of_node(graph: UnitGraph) -> dict[str, str]:
    return {name: unit.name for unit in graph.units for name in unit.node_names}


def _by_unit(ops: Sequence[TimedOp], names: Mapping[str, str]) -> tuple[dict[str, float], float]:
    """Return the time of every unit and that of the rest, conversions apart."""
    times: dict[str, float] = {}
    # What lies between the ops is left out: most of it is the profiler writing down what it saw.
    rest = 0.0
    for operator in ops:
        unit = names.get(operator.origin or "")
        if unit is not None:
            times[unit] = times.get(unit, 0.0) + operator.time_ns
        elif operator.kind != "conversion":
            rest += operator.time_ns
    return times, rest
