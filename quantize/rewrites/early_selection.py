"""A Gather of a few places along one axis, moved up to where the places first meet others.

A vision transformer's scores come from its class token alone: one of 197 tokens goes on behind the last block. What
that block does with the others behind its keys and values (its query, projection, both products of its perceptron, the
activation between them, and the normalizations) is computed for nothing, unless the token is taken before.

Each place is computed as before: integer products are the same to the bit, float ones to rounding, since kernels sum
one row in another order than many. Where that turns a quantized value, its tensor moves by a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import add_move, is_dequantize, is_quantize, node_parameters
from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.nodes import attribute, is_op
from quantize.graph.shapes import Shape
from quantize.graph.view import Graph
from quantize.rewrites.parts import needed_axes
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower


def _apply(graph: Graph) -> Sequence[str]:
    gathers = [node for node in graph.sorted_nodes() if is_op(node, "Gather")]
    shapes = graph.shapes() if gathers else {}
    return [node.name for node in gathers if _rewrite(graph, node, shapes)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    shapes = graph.shapes()
    wide = [node for node in graph.nodes if node.name in names and shapes[node.input[0]][_axis(node, shapes)] != 1]
    return [f"{node.name} still chooses among many" for node in wide]


def _axis(node: NodeProto, shapes: dict[str, Shape]) -> int:
    return int(attribute(node, "axis", 0)) % len(shapes[node.input[0]])


def _rewrite(graph: Graph, node: NodeProto, shapes: dict[str, Shape]) -> bool:
    """Move one Gather of one place up; the node itself stays, and takes the only place that is left."""
    place, shape = graph.constant(node.input[1]), shapes.get(node.input[0])
    if place is None or place.ndim or not shape:
        return False
    axis = _axis(node, shapes)
    size = shape[axis]
    if not isinstance(size, int) or size < 2:
        return False
    moves = _Moves(graph, shapes, int(place) % size)
    if not moves.may_pass(node.input[0], axis, [node]):
        return False
    source = moves.chosen(node.input[0], axis)
    graph.set_input(node, 0, source)
    graph.set_input(node, 1, graph.add_constant(f"{node.name}_only", np.zeros((), place.dtype)))
    moves.move_all()
    return True


@dataclass(frozen=True)
class _Chosen:
    """One place of a tensor along an axis, as a tensor with that axis."""

    source: str
    axis: int
    result: str


class _Moves:
    """Moves the choice of one place up through a graph."""

    def __init__(self, graph: Graph, shapes: dict[str, Shape], place: int) -> None:
        self._graph, self._shapes, self._place = graph, shapes, place
        self._waiting: list[_Chosen] = []
        self._nodes: dict[tuple[str, int], _Chosen] = {}

    def chosen(self, name: str, axis: int) -> str:
        """Return the place of a tensor: of a constant at once, else to be moved further."""
        values, shape = self._graph.constant(name), self._shapes[name]
        known = self._nodes.get((name, axis))
        if known is not None:
            return known.result
        result = self._graph.fresh(f"{name}_chosen")
        self._shapes[result] = (*shape[:axis], 1, *shape[axis + 1 :])
        if values is not None:
            self._graph.set_constant(result, np.take(values, [self._place], axis))
        else:
            # A stand-in until it is known where it stays.
            self._graph.add("Gather", [name], [result], name=result, axis=axis)
            self._waiting.append(_Chosen(name, axis, result))
        self._nodes[name, axis] = _Chosen(name, axis, result)
        return result

    def move_all(self) -> None:
        """Move every choice as far up as it goes."""
        moved = True
        while moved:
            moved = False
            for one in list(self._waiting):
                if self._moved(one):
                    self._waiting.remove(one)
                    moved = True
        for one in self._waiting:
            self._settle(one)

    def may_pass(self, name: str, axis: int, readers: Sequence[NodeProto]) -> NodeProto | None:
        """Return the node that makes a tensor, where only these read it and it can compute one place alone."""
        maker = self._graph.producer(name)
        if maker is None or self._graph.is_output(name) or self._graph.bodies(maker):
            return None
        if [id(node) for node in self._graph.consumers(name)] != [id(node) for node in readers]:
            return None
        if is_dequantize(maker):
            quantize = self._graph.producer(maker.input[0])
            by = node_parameters(self._graph, maker)
            alone = self._graph.sole_consumer(maker.input[0]) is maker
            return quantize if quantize is not None and is_quantize(quantize) and alone and by and not by.axis else None
        return maker if needed_axes(self._graph, maker, axis, self._shapes) is not None else None

    def _moved(self, one: _Chosen) -> bool:
        stand_in = self._graph.producer(one.result)
        assert stand_in is not None
        maker = self.may_pass(one.source, one.axis, [stand_in])
        if maker is None:
            return False
        needed = {0: one.axis} if is_quantize(maker) else needed_axes(self._graph, maker, one.axis, self._shapes)
        assert needed is not None
        self._graph.remove([stand_in])
        self._graph.replace_uses(one.result, one.source)
        self._shapes[one.source] = self._shapes[one.result]
        self._shapes[maker.output[0]] = self._shapes[one.result]
        del self._nodes[one.source, one.axis]
        for position, axis in needed.items():
            self._graph.set_input(maker, position, self.chosen(maker.input[position], axis))
        if is_op(maker, "Reshape"):
            self._aim(maker, one.axis)
        return True

    def _aim(self, reshape: NodeProto, axis: int) -> None:
        target = self._graph.constant(reshape.input[1])
        if target is not None:
            aimed = target.copy()
            aimed[axis] = 1
            self._graph.set_input(reshape, 1, self._graph.add_constant(f"{reshape.name}_shape", aimed))

    def _settle(self, one: _Chosen) -> None:
        """Let a choice stay where it is: on the integers where there are such, as everything that moves values."""
        stand_in = self._graph.producer(one.result)
        assert stand_in is not None
        place = self._graph.add_constant(f"{one.result}_place", np.array([self._place], np.int64))
        source = quantized_input(self._graph, one.source)
        if source is None or source.by.axis is not None:
            self._graph.set_input(stand_in, 1, place)
            return
        self._graph.remove([stand_in])
        moved = add_move(self._graph, "Gather", one.source, source.by, name=one.result, further=[place], axis=one.axis)
        self._graph.replace_uses(one.result, moved)


EARLY_SELECTION = Rewrite("early-selection", Declaration("rounding", 0.01), _apply, _broken, not_shown_slower)
"""Every Gather of one place along an axis of known size, behind what treats the places apart."""
