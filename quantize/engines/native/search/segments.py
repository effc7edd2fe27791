"""Cutting a model into pieces that run on their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import helper

from quantize.graph.shapes import inferred_types


class Segments:
    """Pieces of one model, each with the tensors that cross its borders as inputs and outputs."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Set up for ``model``, whose nodes are in an order in which they can run."""
        self._model = model
        self._types = inferred_types(model)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}

    def inputs(self, nodes: Sequence[int]) -> tuple[str, ...]:
        """Return the tensors that the nodes at these positions take from outside, constants apart."""
        made = {name for index in nodes for name in self._model.graph.node[index].output}
        taken: dict[str, None] = {}
        for index in nodes:
            for name in self._model.graph.node[index].input:
                if name and name not in made and name not in self._constants:
                    taken[name] = None
        return tuple(taken)

    def cut(
        self,
        nodes: Sequence[int],
        outputs: Sequence[str],
        replaced: Iterable[onnx.TensorProto] = (),
        bias: tuple[int, str] | None = None,
    ) -> bytes:
        """Return the serialized model of the nodes at these positions.

        Args:
            nodes: Positions in the graph, ascending.
            outputs: The tensors that the piece returns.
            replaced: Constants that take the place of those with the same name.
            bias: A node's position and the name of a constant that becomes its third input.
        """
        own = {tensor.name: tensor for tensor in replaced}
        chosen = []
        for index in nodes:
            node = onnx.NodeProto()
            node.CopyFrom(self._model.graph.node[index])
            if bias is not None and bias[0] == index:
                node.input.append(bias[1])
            chosen.append(node)
        used = dict.fromkeys(name for node in chosen for name in node.input)
        constants = [own.get(name) or self._constants[name] for name in used if name in self._constants or name in own]
        graph = helper.make_graph(
            chosen,
            "segment",
            [self._value(name) for name in self.inputs(nodes)],
            [self._value(name) for name in outputs],
            constants,
        )
        model = helper.make_model(graph, opset_imports=list(self._model.opset_import))
        model.ir_version = self._model.ir_version
        content: bytes = model.SerializeToString()
        return content

    def _value(self, name: str) -> onnx.ValueInfoProto:
        value = onnx.ValueInfoProto()
        value.name = name
        if name in self._types:
            value.type.CopyFrom(self._types[name])
        return value
