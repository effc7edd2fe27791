"""Nodes that ran and operators of a profile, made by hand."""

from __future__ import annotations

from quantize.measurement.operators.operator_times import OperatorTime, Profile
from quantize.measurement.operators.trace import NodeTrace


def node(name: str, op_type: str, *, kind: str = "float", run_ns: int = 1000, shape=(1, 4, 8, 8)) -> NodeTrace:
    return NodeTrace(name, op_type, ((kind, shape),), ((kind, shape),), (run_ns,))


def operator(name: str, op_type: str, kind: str, time_us: float, **more: object) -> OperatorTime:
    fields = {"origin": None, "origin_op": None, "multiply_adds": None, "reason": None, "shape_note": None, **more}
    return OperatorTime.model_validate(
        {"name": name, "op_type": op_type, "kind": kind, "time_ns": time_us * 1000, **fields}
    )


def conv(origin: str, kind: str, time_us: float, count: int, note: str | None = None) -> OperatorTime:
    return operator(
        origin, "Conv", kind, time_us, origin=origin, origin_op="Conv", multiply_adds=count, shape_note=note
    )


def with_operators(profiled: Profile, before: tuple[OperatorTime, ...], after: tuple[OperatorTime, ...]) -> Profile:
    sides = {"baseline": before, "candidate": after}
    update = {}
    for side, nodes in sides.items():
        model = getattr(profiled, side)
        update[side] = model.model_copy(update={"operators": (*model.operators, *nodes)})
    return profiled.model_copy(update=update)
