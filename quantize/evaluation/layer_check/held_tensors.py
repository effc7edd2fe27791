"""Which tensors of a written model hold which tensors of the fp32 model, and on which grid.

A tensor keeps its name, or is made by the node that was made of the fp32 model's. Where an activation is gone, the
tensor holds what the activation gave: its grid stands for it. What rewrites put in between (pixels in other places,
sums on the way to a mean) holds nothing of the fp32 model: it belongs to the layer that comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnx import ModelProto, NodeProto

from quantize.formats.activation_bounds import clip_bounds
from quantize.formats.parameters import Parameters, is_dequantize, is_quantize, node_parameters
from quantize.formats.twins import twins
from quantize.graph.nodes import ACTIVATIONS, NORMALIZING, RESHAPING, WEIGHTED, is_op, moves_values
from quantize.graph.shapes import inferred_shapes
from quantize.graph.view import Graph


@dataclass(frozen=True, eq=False)
class HeldTensor:
    """A tensor of the fp32 model in a quantized one.

    Attributes:
        tensor: The fp32 model's.
        name: The quantized model's: of integers, or of floats where it is a declared output.
        by: The grid of the integers; None for floats.
        layer: The fp32 model's node that made it, the last one with weights if there is one.
        nodes: The quantized model's nodes that make it of other held tensors, in canonical form, by name.
        origins: The fp32 model's nodes that these compute, by name.
        inner: Steps of grids on the way that fp32 has not, of tensors that are only added, joined or moved afterwards.
        missing: Channels of zeros that it has beyond those of fp32.
        is_output: Whether it is a declared output, which nothing is fed by.
    """

    tensor: str
    name: str
    by: Parameters | None
    layer: str
    nodes: tuple[str, ...]
    origins: tuple[str, ...]
    inner: tuple[float, ...] = ()
    missing: int = 0
    is_output: bool = False


class HeldTensors:
    """Finds what a quantized model, in canonical form, holds of the fp32 model."""

    def __init__(self, reference: ModelProto, quantized: ModelProto) -> None:
        """Compare two graphs by names and shapes."""
        self._shapes, self._own_shapes = inferred_shapes(reference), inferred_shapes(quantized)
        self._reference, self._graph = Graph.of(reference), Graph.of(quantized)
        self.origins = twins(self._reference, self._graph.sorted_nodes())
        self._computed = frozenset(self.origins.values())
        self._last = {origin: name for name, origin in self.origins.items()}
        self._made = {name for node in self._reference.nodes for name in node.output if name}

    def all(self) -> tuple[HeldTensor, ...]:
        """Return every tensor that is held, in the order in which they are made; inputs of the model too."""
        held: dict[str, tuple[str, Parameters, int]] = {}
        nodes = self._graph.sorted_nodes()
        for node in filter(is_quantize, nodes):
            by, tensor = node_parameters(self._graph, node), self._counterpart(node)
            missing = self._missing(tensor, node.input[0]) if tensor is not None else None
            if by is not None and by.axis is None and tensor is not None and missing is not None:
                held[node.output[0]] = (tensor, by, missing)
        held |= self._looked_up()
        found = []
        for node in nodes:
            if node.output[0] in held:
                tensor, by, missing = held[node.output[0]]
                values = node.input[0] if is_quantize(node) else node.output[0]
                found.append(self._held(tensor, node.output[0], values, by, set(held), missing))
        outputs = [name for name in self._graph.outputs if name in self._reference.outputs]
        logits = [name for name in map(self._before_normalized, outputs) if name is not None]
        for name in (*logits, *outputs):
            if self._missing(name, name) == 0:
                stops = {*held, *logits} - {name}
                found.append(self._held(name, name, name, None, stops, 0))
        return tuple(found)

    def _looked_up(self) -> dict[str, tuple[str, Parameters, int]]:
        """Return the integers that a table of a function gives, which no QuantizeLinear rounds, as those of ``all``."""
        found = {}
        for node in self._graph.nodes:
            shaped = self._graph.producer(node.input[0]) if is_dequantize(node) else None
            table = self._graph.producer(shaped.input[0]) if shaped is not None and is_op(shaped, "Reshape") else None
            if table is None or not is_op(table, "GatherElements") or table.name not in self.origins:
                continue
            origin = self._reference.node(self.origins[table.name])
            by = node_parameters(self._graph, node) if origin is not None else None
            if origin is not None and by is not None and self._missing(origin.output[0], node.output[0]) == 0:
                found[node.input[0]] = (origin.output[0], by, 0)
        return found

    def _before_normalized(self, output: str) -> str | None:
        """Return the scores that an output's probabilities are made of: errors of probabilities near 1 say little."""
        maker = self._reference.producer(output)
        while maker is not None and is_op(maker, *RESHAPING):
            maker = self._reference.producer(maker.input[0])
        if maker is None or not is_op(maker, *NORMALIZING, "Sigmoid"):
            return None
        own, name = self._graph.producer(maker.input[0]), maker.input[0]
        inner = own is not None and not is_dequantize(own) and name not in self._graph.outputs
        return name if inner and name in self._made else None

    def _held(
        self,
        tensor: str,
        name: str,
        values: str,
        by: Parameters | None,
        held: set[str],
        missing: int,
    ) -> HeldTensor:
        nodes, steps = [], []
        for node, adds_only in self._way(values, held - {name}):
            own = node_parameters(self._graph, node) if is_quantize(node) else None
            if own is not None and adds_only and own.axis is None and node.output[0] != name:
                steps.append(float(own.scale))
            if not is_quantize(node) and not is_dequantize(node):
                nodes.append(node)
        weighted = [node for node in nodes if is_op(node, *WEIGHTED)]
        named = [self.origins[node.name] for node in (*weighted, *nodes) if node.name in self.origins]
        return HeldTensor(
            tensor,
            name,
            by,
            named[0] if named else tensor,
            tuple(node.name for node in nodes),
            tuple(dict.fromkeys(named)),
            tuple(steps),
            missing,
            is_output=name in self._graph.outputs,
        )

    def _way(self, values: str, held: set[str]) -> Iterator[tuple[NodeProto, bool]]:
        """Yield the nodes between held tensors and one of them, the last first, and whether only sums come after."""
        waiting, seen = [(values, True)], set()
        while waiting:
            name, adds_only = waiting.pop(0)
            node = self._graph.producer(name)
            if node is None or id(node) in seen or name in held:
                continue
            seen.add(id(node))
            yield node, adds_only
            passes = is_quantize(node) or is_dequantize(node) or is_op(node, "Add", "Concat", *ACTIVATIONS)
            further = adds_only and (passes or moves_values(node))
            waiting += [(given, further) for given in node.input if given]

    def _counterpart(self, quantize: NodeProto) -> str | None:
        """Return the fp32 tensor whose values a QuantizeLinear rounds; None if there is none."""
        readers = [
            reader
            for dequantize in self._graph.consumers(quantize.output[0])
            if is_dequantize(dequantize)
            for reader in self._graph.consumers(dequantize.output[0])
        ]
        if readers and all(is_quantize(reader) or clip_bounds(self._graph, reader) is not None for reader in readers):
            return None  # its values are confined, or put on another grid, before anything computes with them
        values = quantize.input[0]
        if values in self._graph.inputs:
            return values if values in self._reference.inputs else None
        tensor = values if values in self._made else self._made_by(values)
        return None if tensor is None else self._past_removed(tensor)

    def _made_by(self, values: str) -> str | None:
        maker, confined = self._graph.producer(values), False
        while maker is not None and self._is_added(maker):
            confined = confined or is_op(maker, *ACTIVATIONS)
            values = maker.input[0]
            maker = self._graph.producer(values)
        origin = self.origins.get(maker.name) if maker is not None else None
        if maker is None or origin is None or self._last[origin] != maker.name:
            return None
        node = self._reference.node(origin)
        position = list(maker.output).index(values)
        tensor = node.output[position] if node is not None and position < len(node.output) else None
        return self._confined(tensor) if tensor is not None and confined else tensor

    def _confined(self, tensor: str) -> str | None:
        """Return what the activation of a tensor gives that the quantized model has by another name, if it is one."""
        readers = self._reference.consumers(tensor)
        activations = [node for node in readers if is_op(node, *ACTIVATIONS) and node.name not in self._computed]
        return activations[0].output[0] if len(activations) == 1 else None

    def _is_added(self, node: NodeProto) -> bool:
        """Return whether a node is an activation on integers that the fp32 model has by another name, or its pair."""
        if is_quantize(node) or is_dequantize(node):
            return True
        return clip_bounds(self._graph, node) is not None and node.name not in self.origins

    def _past_removed(self, tensor: str) -> str:
        while (reader := self._reference.sole_consumer(tensor)) is not None:
            if not is_op(reader, *ACTIVATIONS) or reader.name in self._computed or reader.input[0] != tensor:
                break
            tensor = reader.output[0]
        return tensor

    def _missing(self, tensor: str, own: str) -> int | None:
        """Return how many channels a tensor has beyond those of fp32; None if they cannot be the same tensor."""
        shape, other = self._shapes.get(tensor), self._own_shapes.get(own)
        if shape is None or other is None:  # what is fed has to be of the very shape
            return None
        if len(shape) != len(other):
            return None
        sizes = [pair for pair in zip(shape[1:], other[1:], strict=True) if all(isinstance(size, int) for size in pair)]
        apart = [(size, wider) for size, wider in sizes if size != wider]
        if not apart:
            return 0
        (size, wider), *further = apart
        widened = not further and apart[0] == (shape[1], other[1])
        return wider - size if widened and isinstance(size, int) and isinstance(wider, int) and wider > size else None
