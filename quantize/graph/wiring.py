"""Who makes a tensor of a graph, who reads it, and what is constant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from quantize.graph.nodes import reads, subgraphs


class Wiring:
    """An index of one graph, right until nodes are added, removed or rewired by other means than its methods."""

    def __init__(self, graph: GraphProto) -> None:
        self.graph = graph
        self.nodes = list(graph.node)
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self.makers: dict[str, NodeProto] = {name: node for node in self.nodes for name in node.output if name}
        self.readers: dict[str, list[NodeProto]] = {}
        self.outputs = {value.name for value in graph.output}
        self._seen_inside: set[str] = set()
        for node in self.nodes:
            for name in dict.fromkeys(reads(node)):
                self.readers.setdefault(name, []).append(node)
            if any(True for _ in subgraphs(node)):
                self._seen_inside.update(reads(node))
        self._taken = {*self.constants, *self.makers, *self.readers, *(value.name for value in graph.input)}

    def array(self, name: str) -> NDArray[Any] | None:
        """Return the values of an initializer, or None for another tensor."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def add_constant(self, hint: str, values: NDArray[Any]) -> str:
        """Add an initializer under an unused name made from ``hint``, and return the name."""
        name = self.fresh(hint)
        tensor = numpy_helper.from_array(np.asarray(values, order="C"), name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name

    def fresh(self, hint: str) -> str:
        """Return an unused tensor name: the hint, or the hint with a number."""
        name, number = hint, 1
        while name in self._taken:
            number += 1
            name = f"{hint}_{number}"
        self._taken.add(name)
        return name

    def sole_reader(self, name: str) -> NodeProto | None:
        """Return the one node that reads a tensor, where nothing else does and it is no output of the graph."""
        readers = self.readers.get(name, [])
        if len(readers) != 1 or name in self.outputs or name in self._seen_inside:
            return None
        return readers[0] if list(readers[0].input).count(name) == 1 else None

    def take_over(self, node: NodeProto, last: NodeProto) -> None:
        """Let ``node`` make what ``last``, which it replaces from here on, made; the node between is then dead."""
        node.output[0], last.output[0] = last.output[0], self.fresh(f"{last.output[0]}_replaced")
        self.makers[node.output[0]] = node

    def bypass(self, node: NodeProto) -> bool:
        """Let the readers of a node's first output read its first input; return whether that was possible.

        The name of a graph output stays: then the maker of the node's input takes it. Not possible where that input is
        itself an input, a constant or an output of the graph, or where a subgraph reads a name that would change.
        """
        source, result = node.input[0], node.output[0]
        if result not in self.outputs and result not in self._seen_inside:
            self._rename_reads(result, source)
            return True
        maker = self.makers.get(source)
        if maker is None or source in self.outputs or source in self._seen_inside:
            return False
        node.output[0] = self.fresh(f"{result}_replaced")
        position = list(maker.output).index(source)
        maker.output[position] = result
        self.makers[result] = maker
        self._rename_reads(source, result, but=node)
        return True

    def _rename_reads(self, old: str, new: str, but: NodeProto | None = None) -> None:
        readers = [reader for reader in self.readers.pop(old, []) if reader is not but]
        for reader in readers:
            for position, name in enumerate(reader.input):
                if name == old:
                    reader.input[position] = new
        self.readers.setdefault(new, []).extend(readers)
