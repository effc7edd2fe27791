"""Who makes and who takes the tensors that could lie between fp32 and int8."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from quantize.engines.native.search.units import UnitGraph


@dataclass(frozen=True)
class Borders:
    """Who makes and who takes every tensor that could lie between fp32 and int8.

    Attributes:
        graph: The model as units.
        float_takers: Tensors that something takes that is never quantized, the caller included.
        free: Tensors that leave int8 at no cost: scores that a Gemm gives in float32.
    """

    graph: UnitGraph
    float_takers: frozenset[str]
    free: frozenset[str] = frozenset()

    @property
    def tensors(self) -> tuple[str, ...]:
        """Return the image and every unit's output."""
        return (self.graph.image, *(unit.output for unit in self.graph.units))

    def is_int8_maker(self, tensor: str, float_units: frozenset[str]) -> bool:
        """Return whether a tensor's unit makes it on eight bits."""
        maker = self.graph.producers.get(tensor)
        return maker is not None and maker.name not in float_units

    def takers(self, tensor: str, float_units: frozenset[str]) -> set[bool]:
        """Return the kinds of takers: True for int8, False for fp32."""
        kinds = {unit.name not in float_units for unit in self.graph.consumers.get(tensor, ())}
        return kinds | {False} if tensor in self.float_takers else kinds

    def leaving(self, tensor: str) -> int:
        """Return the values to take off eight bits for fp32 takers."""
        return 0 if tensor in self.free else self.graph.elements[tensor]


def borders_of(model: onnx.ModelProto, graph: UnitGraph) -> Borders:
    """Return the borders of a graph; what ops that are never quantized take, and the scores, is taken in fp32."""
    in_units = {position for unit in graph.units for position in unit.nodes}
    taken = {name for at, node in enumerate(model.graph.node) if at not in in_units for name in node.input}
    free = {unit.output for unit in graph.units if unit.op_type in ("Gemm", "MatMul") and unit.output == graph.scores}
    return Borders(graph, frozenset(taken | {graph.scores}), frozenset(free))
