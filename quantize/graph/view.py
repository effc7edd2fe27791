"""An editable view of a model's graph: who makes a tensor, who reads it, what is constant."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

DEFAULT_DOMAIN = ""
MICROSOFT = "com.microsoft"


class Graph:
    """A copy of a model whose nodes can be added, removed and rewired.

    Nodes may be added in any order: ``model()`` sorts them. The given model is never changed.
    """

    def __init__(self, model: ModelProto) -> None:
        self._model = ModelProto()
        self._model.CopyFrom(model)
        graph = self._model.graph
        self.nodes: list[NodeProto] = list(graph.node)
        self._initializers: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._scalars: dict[str, str] = {}
        self._producers: dict[str, NodeProto] = {}
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            self._connect(node)
        self._names = {name for node in self.nodes for name in (*node.input, *node.output, node.name)}
        self._names |= {*self._initializers, *self.inputs, *self.outputs}
        self._constants_from_nodes()

    # -- what is there ------------------------------------------------------------------------------------------

    @property
    def inputs(self) -> list[str]:
        """Return the names of the declared inputs that are not initializers."""
        return [value.name for value in self._model.graph.input if value.name not in self._initializers]

    @property
    def outputs(self) -> list[str]:
        """Return the names of the declared outputs."""
        return [value.name for value in self._model.graph.output]

    @property
    def proto(self) -> GraphProto:
        """Return the graph's declared inputs and outputs (its nodes and initializers are those of this view)."""
        return self._model.graph

    @property
    def opset(self) -> int:
        """Return the version of the default operator set."""
        return next((int(entry.version) for entry in self._model.opset_import if entry.domain in ("", "ai.onnx")), 1)

    @opset.setter
    def opset(self, version: int) -> None:
        for entry in self._model.opset_import:
            if entry.domain in ("", "ai.onnx"):
                entry.version = version
                return
        self._model.opset_import.append(helper.make_opsetid("", version))

    def producer(self, name: str) -> NodeProto | None:
        """Return the node that makes a tensor; None for inputs and initializers."""
        return self._producers.get(name)

    def consumers(self, name: str) -> list[NodeProto]:
        """Return the nodes that read a tensor, each once, in the order in which they came to read it."""
        return list(self._consumers.get(name, ()))

    def is_output(self, name: str) -> bool:
        """Return whether a tensor is a declared output."""
        return name in self.outputs

    @property
    def constants(self) -> list[str]:
        """Return the names of the initializers."""
        return list(self._initializers)

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return an initializer's values (do not change them in place), or None for any other tensor.

        Weights that are stored in int8 and computed in fp32 count as what they are computed as.
        """
        if name not in self._arrays:
            tensor = self._initializers.get(name)
            if tensor is None:
                return self._stored_weights(name)
            self._arrays[name] = numpy_helper.to_array(tensor)
        return self._arrays[name]

    def _stored_weights(self, name: str) -> NDArray[Any] | None:
        """Return the product of a Cast int8 initializer and a float one, or None for any other tensor."""
        mul = self._producers.get(name)
        cast = self._producers.get(mul.input[0]) if mul is not None and mul.op_type == "Mul" else None
        if mul is None or cast is None or cast.op_type != "Cast" or cast.input[0] not in self._initializers:
            return None
        integers, scales = self.constant(cast.input[0]), self.constant(mul.input[1])
        if integers is None or scales is None or integers.dtype != np.int8 or scales.dtype != np.float32:
            return None
        values: NDArray[Any] = integers.astype(np.float32) * scales
        return values

    # -- changes ------------------------------------------------------------------------------------------------

    def fresh(self, hint: str) -> str:
        """Return an unused name for a tensor or node: the hint itself where it is free."""
        name, number = hint, 0
        while not name or name in self._names:
            number += 1
            name = f"{hint}_{number}"
        self._names.add(name)
        return name

    def add_constant(self, hint: str, values: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        name = self.fresh(hint)
        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)
        return name

    def scalar(self, name: str) -> str:
        """Return the name of a scalar initializer with the one value of the initializer ``name``."""
        values = self.constant(name)
        if values is None or values.size != 1:
            raise ValueError(f"{name} is not a constant of one value")
        if not values.ndim:
            return name
        if name not in self._scalars or self._scalars[name] not in self._initializers:
            self._scalars[name] = self.add_constant(f"{name}_scalar", values.reshape(()))
        return self._scalars[name]

    def add(
        self,
        op_type: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        name: str = "",
        domain: str = DEFAULT_DOMAIN,
        **attributes: Any,
    ) -> NodeProto:
        """Add a node whose outputs are named already, and return it. Attributes that are None are left out."""
        kept = {key: value for key, value in attributes.items() if value is not None}
        node = helper.make_node(op_type, inputs, outputs, name=self.fresh(name or op_type), domain=domain, **kept)
        self.nodes.append(node)
        self._names.update(outputs)
        self._connect(node)
        return node

    def remove(self, nodes: Iterable[NodeProto]) -> None:
        """Remove nodes (those very objects) from the graph."""
        gone = {id(node): node for node in nodes}
        self.nodes = [node for node in self.nodes if id(node) not in gone]
        for node in gone.values():
            self._disconnect(node)

    def set_input(self, node: NodeProto, position: int, name: str) -> None:
        """Let a node read another tensor at one position."""
        self._disconnect(node)
        node.input[position] = name
        self._connect(node)

    def set_output(self, node: NodeProto, position: int, name: str) -> None:
        """Give one of a node's outputs another name; its readers are not changed."""
        self._disconnect(node)
        node.output[position] = name
        self._names.add(name)
        self._connect(node)

    def replace_uses(self, old: str, new: str) -> None:
        """Let every reader of ``old`` read ``new`` instead. Declared outputs keep their names and makers."""
        for node in self.consumers(old):
            self._disconnect(node)
            for position, name in enumerate(node.input):
                if name == old:
                    node.input[position] = new
            self._connect(node)

    def prune(self) -> None:
        """Remove nodes that nothing reads and initializers that nothing uses."""
        alive = set(self.outputs)
        kept: list[NodeProto] = []
        for node in reversed(self.sorted_nodes()):
            if any(name in alive for name in node.output):
                kept.append(node)
                alive.update(_reads(node))
            else:
                self._disconnect(node)
        self.nodes = kept[::-1]
        self._initializers = {name: tensor for name, tensor in self._initializers.items() if name in alive}
        self._arrays = {name: values for name, values in self._arrays.items() if name in alive}

    def sorted_nodes(self) -> list[NodeProto]:
        """Return the nodes in an order in which each comes after what it reads, otherwise as they stood."""
        position = {id(node): index for index, node in enumerate(self.nodes)}
        waiting: dict[int, int] = {}
        readers: dict[int, list[NodeProto]] = {}
        for node in self.nodes:
            makers = {id(maker) for name in _reads(node) if (maker := self._producers.get(name)) is not None}
            waiting[id(node)] = len(makers)
            for key in makers:
                readers.setdefault(key, []).append(node)
        ready = [(position[id(node)], node) for node in self.nodes if not waiting[id(node)]]
        heapq.heapify(ready)
        order: list[NodeProto] = []
        while ready:
            _, node = heapq.heappop(ready)
            order.append(node)
            for reader in readers.get(id(node), []):
                waiting[id(reader)] -= 1
                if not waiting[id(reader)]:
                    heapq.heappush(ready, (position[id(reader)], reader))
        if len(order) != len(self.nodes):
            raise ValueError("the graph has a cycle")
        return order

    def model(self) -> ModelProto:
        """Return the edited model: sorted, without dead nodes, unused initializers, stale shapes or opset imports."""
        self.prune()
        result = ModelProto()
        result.CopyFrom(self._model)
        graph = result.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(self._initializers.values())
        declared = [value for value in graph.input if value.name in self.inputs or value.name in self._initializers]
        inputs = [type(value).FromString(value.SerializeToString()) for value in declared]
        del graph.input[:]
        graph.input.extend(inputs)
        used = {node.domain for node in _all_nodes(graph)} | {DEFAULT_DOMAIN}
        imports = {entry.domain: entry.version for entry in result.opset_import if entry.domain in used}
        if MICROSOFT in used:
            imports.setdefault(MICROSOFT, 1)
        del result.opset_import[:]
        result.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in sorted(imports.items()))
        result.ir_version = max(
            result.ir_version, helper.find_min_ir_version_for(result.opset_import, ignore_unknown=True)
        )
        return result

    # -- inside -------------------------------------------------------------------------------------------------

    def _connect(self, node: NodeProto) -> None:
        self._producers.update((name, node) for name in node.output if name)
        for name in dict.fromkeys(_reads(node)):
            self._consumers.setdefault(name, []).append(node)

    def _disconnect(self, node: NodeProto) -> None:
        for name in node.output:
            if self._producers.get(name) is node:
                del self._producers[name]
        for name in dict.fromkeys(_reads(node)):
            self._consumers[name] = [reader for reader in self._consumers[name] if reader is not node]

    def _constants_from_nodes(self) -> None:
        constants = [node for node in self.nodes if node.op_type == "Constant" and node.attribute[0].name == "value"]
        for node in constants:
            tensor = TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            if not self.is_output(tensor.name):
                self._initializers[tensor.name] = tensor
        self.remove([node for node in constants if not self.is_output(node.output[0])])


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute, or the default where it is not set. Strings come as str."""
    for entry in node.attribute:
        if entry.name == name:
            value = helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default


def attributes(node: NodeProto, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return all attributes of a node but some."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute if entry.name not in without}


def _reads(node: NodeProto) -> Iterator[str]:
    """Yield the names of the tensors that a node reads, those of its subgraphs' nodes too."""
    yield from (name for name in node.input if name)
    for entry in node.attribute:
        for graph in [entry.g] if entry.HasField("g") else entry.graphs:
            for inner in graph.node:
                yield from _reads(inner)


def _all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for entry in node.attribute:
            for inner in [entry.g] if entry.HasField("g") else entry.graphs:
                yield from _all_nodes(inner)
