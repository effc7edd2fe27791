"""Predict the time of any assignment from one profile of the fp32 model and one of the all-int8 model."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from quantize.engines.native.search.op_graph import OpGraph
from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Profile
from quantize.rewrites.stem_moves import STEM_MOVES

# The moves that a rewrite puts before the first Conv carry its name (a Pad for odd sizes does not), with a number if
# another rewrite made that Conv anew; they go where it goes, unlike other conversions.
_MOVE = re.compile(rf"(?P<conv>.+)_(?:{'|'.join(sorted(STEM_MOVES))})(?:_\d+)*")
_NUMBER = re.compile(r"_\d+$")


class TimedOp(BaseModel):
    """One op of a graph as it ran.

    Attributes:
        origin: The fp32 model's node that it computes or moves values for; None for what else was added.
        kind: Int8 arithmetic, fp32 arithmetic, or conversion.
        time_ns: Its time in one run, in nanoseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str | None
    kind: Literal["int8", "fp32", "conversion"]
    time_ns: float


class ProfiledTimes(BaseModel):
    """The ops of the fp32 model and of a candidate: what a search needs of a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline: tuple[TimedOp, ...]
    candidate: tuple[TimedOp, ...]

    @classmethod
    def of(cls, profile: Profile) -> ProfiledTimes:
        """Return the times in a profile."""
        return cls(baseline=_timed(profile.baseline), candidate=_timed(profile.candidate))


@dataclass(frozen=True)
class LatencyModel:
    """Times of a model's parts for one run, in nanoseconds.

    Attributes:
        float_ns: By op, in fp32.
        int8_ns: By op, quantized.
        conversion_ns: Of quantizing or dequantizing one value where fp32 meets int8, layout included.
        crossing_ns: Of each tensor that is converted, whatever its size.
        alone_ns: In fp32, of functions that fp32 computes as a part of the op before, where that op is in int8; by op.
        rest_ns: Of everything that no assignment changes: ops that are never quantized.
    """

    float_ns: Mapping[str, float]
    int8_ns: Mapping[str, float]
    conversion_ns: float
    rest_ns: float
    crossing_ns: float = 0.0
    alone_ns: Mapping[str, float] = field(default_factory=dict)

    def converting(self, values: int) -> float:
        """Return the time of converting a tensor of so many values, in nanoseconds; none needs none."""
        return self.crossing_ns + self.conversion_ns * values if values else 0.0

    def predicted(self, graph: OpGraph, float_ops: frozenset[str]) -> float:
        """Return the time of the assignment that keeps ``float_ops`` in fp32, in nanoseconds."""
        total = self.rest_ns
        for op in graph.ops:
            total += self.float_ns[op.name] if op.name in float_ops else self.int8_ns[op.name]
            if op.name in float_ops and op.name in self.alone_ns and graph.is_made_in_int8(op.inputs[0], float_ops):
                total += self.alone_ns[op.name]
        for tensor in graph.tensors:
            is_int8 = graph.is_made_in_int8(tensor, float_ops)
            if not is_int8 and graph.is_taken_in_int8(tensor, float_ops):
                total += self.converting(graph.elements[tensor])
            if is_int8 and graph.is_taken_in_fp32(tensor, float_ops):
                total += self.converting(graph.dequantized_elements(tensor))
        return total


def latency_model(times: ProfiledTimes, graph: OpGraph) -> LatencyModel:
    """Return the latency model that a profile gives.

    Each node's time goes to the op that it computes; an op that did not run in one of the two (folded into its
    neighbour) took no time there. Conversions in the all-int8 profile give the time for one value; those around a
    function that computes in float although its neighbours are int8 (SiLU, for example) are part of its time.

    A function that took no time in fp32, since onnxruntime fuses a HardSwish into its Conv, is taken to need as long
    by itself as in the all-int8 candidate: neither profile shows it.
    """
    op_of_node = {name: op.name for op in graph.ops for name in op.node_names}
    float_ns, _ = _by_op(times.baseline, op_of_node)
    int8_ns, int8_rest = _by_op(times.candidate, op_of_node)
    nothing = frozenset[str]()
    computed_in_float = {op_of_node.get(timed.origin or "") for timed in times.candidate if timed.kind == "fp32"}
    around = {
        op.name: [*(graph.dequantized_elements(name) for name in op.inputs), graph.elements[op.output]]
        for op in graph.ops
        if op.function and op.name in computed_in_float
    }
    quantized = [
        graph.elements[tensor]
        for tensor in graph.tensors
        if not graph.is_made_in_int8(tensor, nothing) and graph.is_taken_in_int8(tensor, nothing)
    ]
    dequantized = [
        graph.dequantized_elements(tensor)
        for tensor in graph.tensors
        if graph.is_made_in_int8(tensor, nothing) and graph.is_taken_in_fp32(tensor, nothing)
    ]
    converted = [size for size in (*quantized, *dequantized, *itertools.chain(*around.values())) if size]
    conversions = [op.time_ns for op in times.candidate if op.kind == "conversion" and op.origin is None]
    # What any node takes, the profiler's part included: many small tensors would make each value seem dear.
    call = min((op.time_ns for op in times.candidate), default=0.0)
    conversion_ns = sum(time - call for time in conversions) / max(sum(converted), 1)
    crossing_ns = call * len(conversions) / max(len(converted), 1)
    fused = [op.name for op in graph.ops if op.function and op.name not in float_ns and op.inputs[0] in graph.producers]
    model = LatencyModel(
        float_ns={op.name: float_ns.get(op.name, 0.0) for op in graph.ops},
        int8_ns={},
        conversion_ns=conversion_ns,
        rest_ns=int8_rest,
        crossing_ns=crossing_ns,
        alone_ns={name: int8_ns.get(name, 0.0) for name in fused},
    )
    apart = {name: sum(map(model.converting, sizes)) for name, sizes in around.items()}
    return replace(model, int8_ns={op.name: int8_ns.get(op.name, 0.0) + apart.get(op.name, 0.0) for op in graph.ops})


def _by_op(ops: Sequence[TimedOp], op_of_node: Mapping[str, str]) -> tuple[dict[str, float], float]:
    """Return the time of every op and that of the rest, conversions apart."""
    times: dict[str, float] = {}
    # The time between ops is left out: most of it is the profiler's own bookkeeping.
    rest = 0.0
    for timed in ops:
        op = _op(timed.origin, op_of_node)
        if op is not None:
            times[op] = times.get(op, 0.0) + timed.time_ns
        elif timed.kind != "conversion":
            rest += timed.time_ns
    return times, rest


def _op(origin: str | None, op_of_node: Mapping[str, str]) -> str | None:
    """Return the op that an origin, or what is left of it without its numbers, is a node of."""
    while origin is not None and origin not in op_of_node:
        shorter = _NUMBER.sub("", origin)
        origin = shorter if shorter != origin else None
    return None if origin is None else op_of_node[origin]


def _timed(profile: ModelProfile) -> tuple[TimedOp, ...]:
    return tuple(TimedOp(origin=_origin(op), kind=op.kind, time_ns=op.time_ns) for op in profile.operators)


def _origin(op: OperatorTime) -> str | None:
    move = None if op.origin is not None else _MOVE.fullmatch(op.name)
    return op.origin if move is None else move["conv"]
