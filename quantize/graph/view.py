"""The view of a model's graph: producers, consumers, constants, and every way to change it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.errors import ModelError
from quantize.graph.nodes import (
    DEFAULT_DOMAIN,
    DEFAULT_DOMAINS,
    MICROSOFT,
    all_nodes,
    constant_value,
    default_opset,
    is_op,
    reads,
    rename_reads,
    replace_all,
    subgraphs,
)
from quantize.graph.shapes import Shape, shapes_of


class Graph:
    """A copy of a model whose nodes can be added, removed and rewired.

    Nodes may be added in any order: ``model()`` sorts them. Constant nodes become initializers. A node reads what the
    graphs inside it (the branches of an If, the body of a Loop) take from outside; ``bodies`` gives those graphs. The
    given model is never changed.
    """

    def __init__(self, model: ModelProto, *, numbers_from: int = 1) -> None:
        """Copy a model.

        Args:
            model: Any model.
            numbers_from: The first number that is put behind a name that is taken. Prepared fp32 models have always
                counted from 2; the names are part of a graph's hash.
        """
        self._model = ModelProto()
        self._model.CopyFrom(model)
        self._numbers_from = numbers_from
        self._index(self._model.graph, outer=None)
        del self._proto.node[:], self._proto.initializer[:], self._proto.value_info[:]

    @classmethod
    def of(cls, source: ModelProto | GraphProto) -> Graph:
        """Return a view to look things up in: of the source's own messages, not of copies. It is not for editing."""
        view = cls.__new__(cls)
        view._model, view._numbers_from = (source if isinstance(source, ModelProto) else ModelProto()), 1
        view._index(source.graph if isinstance(source, ModelProto) else source, outer=None)
        return view

    def _index(self, graph: GraphProto, outer: Graph | None) -> None:
        self._proto = graph
        self._outer = outer
        self.nodes: list[NodeProto] = list(graph.node)
        self._initializers: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._scalars: dict[str, str] = {}
        self._producers: dict[str, NodeProto] = {}
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            self._connect(node)
        self._names: set[str] = outer._names if outer is not None else set()
        self._names |= {name for node in all_nodes(graph) for name in (*node.input, *node.output, node.name)}
        self._names |= {*self._initializers, *self.inputs, *self.outputs}
        self._store_constants()

    # -- what is there ------------------------------------------------------------------------------------------

    @property
    def inputs(self) -> list[str]:
        """Return the names of the declared inputs that are not initializers."""
        return [value.name for value in self._proto.input if value.name not in self._initializers]

    @property
    def outputs(self) -> list[str]:
        """Return the names of the declared outputs."""
        return [value.name for value in self._proto.output]

    @property
    def proto(self) -> GraphProto:
        """Return the graph's declared inputs and outputs (its nodes and initializers are those of this view)."""
        return self._proto

    @property
    def opset(self) -> int:
        """Return the version of the default operator set."""
        return default_opset(self._model)

    @opset.setter
    def opset(self, version: int) -> None:
        for entry in self._model.opset_import:
            if entry.domain in DEFAULT_DOMAINS:
                entry.version = version
                return
        self._model.opset_import.append(helper.make_opsetid(DEFAULT_DOMAIN, version))

    def producer(self, name: str) -> NodeProto | None:
        """Return the node that makes a tensor; None for inputs and initializers."""
        return self._producers.get(name)

    def consumers(self, name: str) -> list[NodeProto]:
        """Return the nodes that read a tensor, or have a body that does, each once, in the order they came to it."""
        return list(self._consumers.get(name, ()))

    def sole_consumer(self, name: str) -> NodeProto | None:
        """Return the one node that reads a tensor, as one input, where nothing else does and it is no output."""
        consumers = self._consumers.get(name, [])
        if len(consumers) != 1 or self.is_output(name) or list(reads(consumers[0])).count(name) != 1:
            return None
        return consumers[0] if name in consumers[0].input else None

    def is_output(self, name: str) -> bool:
        """Return whether a tensor is a declared output."""
        return any(value.name == name for value in self._proto.output)

    def node(self, name: str) -> NodeProto | None:
        """Return the first node of a name."""
        return next((node for node in self.nodes if node.name == name), None)

    @property
    def constants(self) -> list[str]:
        """Return the names of the initializers."""
        return list(self._initializers)

    def tensor(self, name: str) -> TensorProto | None:
        """Return the initializer of a name as it is stored (do not change it), or None for any other tensor."""
        return self._initializers.get(name)

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return an initializer's values (do not change them in place), or None for any other tensor.

        Weights that are stored in int8 and computed in fp32 count as what they are computed as. In a body, the
        initializers around it count as well.
        """
        if name not in self._arrays:
            tensor = self._initializers.get(name)
            if tensor is None:
                return self._computed(name)
            self._arrays[name] = numpy_helper.to_array(tensor)
        return self._arrays[name]

    def forget_values(self) -> None:
        """Free the values of constants that were looked at; they are kept otherwise."""
        self._arrays.clear()

    def _computed(self, name: str) -> NDArray[Any] | None:
        stored = self.stored_weights(name)
        if stored is not None:
            levels, scales = (numpy_helper.to_array(tensor) for tensor in stored)
            values: NDArray[Any] = levels.astype(np.float32) * scales
            return values
        outside = self._outer is not None and name not in self._producers
        return self._outer.constant(name) if outside and self._outer is not None else None

    def stored_weights(self, name: str) -> tuple[TensorProto, TensorProto] | None:
        """Return the int8 levels and float32 scales whose product a tensor is; None for any other tensor.

        So weights are stored that are computed with in fp32: a Cast of the levels, and a Mul by the scales.
        """
        product = self._producers.get(name)
        if product is None or not is_op(product, "Mul") or len(product.input) != 2:
            return None
        cast = self._producers.get(product.input[0])
        if cast is None or not is_op(cast, "Cast"):
            return None
        levels, scales = self._initializers.get(cast.input[0]), self._initializers.get(product.input[1])
        if levels is None or scales is None or levels.data_type != TensorProto.INT8:
            return None
        return (levels, scales) if scales.data_type == TensorProto.FLOAT else None

    def shapes(self) -> dict[str, Shape]:
        """Return the shapes of the graph's tensors, as far as they can be inferred. Prunes and sorts the graph."""
        self.prune()
        return shapes_of(self._model, self.nodes, self._initializers.values())

    # -- changes ------------------------------------------------------------------------------------------------

    def fresh(self, hint: str) -> str:
        """Return an unused name for a tensor or node: the hint itself if it is free."""
        name, number = hint, self._numbers_from - 1
        while not name or name in self._names:
            number += 1
            name = f"{hint}_{number}"
        self._names.add(name)
        return name

    def add_constant(self, hint: str, values: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        name = self.fresh(hint)
        self.set_constant(name, values)
        return name

    def set_constant(self, name: str, values: NDArray[Any]) -> None:
        """Store an initializer under this very name."""
        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)
        self._names.add(name)
        self._arrays.pop(name, None)

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
        before: NodeProto | None = None,
        **attributes: Any,
    ) -> NodeProto:
        """Add a node whose outputs are named already, and return it. Attributes that are None are left out.

        Nodes stand in the order in which they are added, as far as they do not read one another; ``before`` puts this
        one before another instead.
        """
        kept = {key: value for key, value in attributes.items() if value is not None}
        node = helper.make_node(op_type, inputs, outputs, name=self.fresh(name or op_type), domain=domain, **kept)
        position = len(self.nodes) if before is None else next(i for i, n in enumerate(self.nodes) if n is before)
        self.nodes.insert(position, node)
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
        """Let a node read another tensor at one position; positions before it that it lacks are left out ("")."""
        self._disconnect(node)
        node.input.extend([""] * (position + 1 - len(node.input)))
        node.input[position] = name
        self._connect(node)

    def set_inputs(self, node: NodeProto, names: Sequence[str]) -> None:
        """Let a node read these tensors, in this order, and no others."""
        self._disconnect(node)
        node.input[:] = names
        self._connect(node)

    def let_read(self, node: NodeProto, old: str, new: str) -> None:
        """Let one node, and the graphs inside it, read ``new`` wherever they read ``old``."""
        self._disconnect(node)
        rename_reads(node, old, new)
        self._connect(node)

    def set_output(self, node: NodeProto, position: int, name: str) -> None:
        """Give one of a node's outputs another name; its readers are not changed."""
        self._disconnect(node)
        node.output[position] = name
        self._names.add(name)
        self._connect(node)

    def replace_uses(self, old: str, new: str) -> None:
        """Let every reader of ``old``, in bodies too, read ``new``. Declared outputs keep their names and makers."""
        for node in self.consumers(old):
            self.let_read(node, old, new)

    def renew(self, node: NodeProto) -> None:
        """Put a node last, under a name made from its own, as if it were removed and added again."""
        self.nodes = [*(other for other in self.nodes if other is not node), node]
        node.name = self.fresh(node.name or node.op_type)
        node.domain = str(node.domain)  # sets it where it is unset, as adding does: a byte of the file

    def take_over(self, node: NodeProto, last: NodeProto) -> None:
        """Let ``node`` make the first output of ``last``, which is removed."""
        self.remove([last])
        self.set_output(node, 0, last.output[0])

    def bypass(self, node: NodeProto) -> bool:
        """Remove a node and let the readers of its first output read its first input; return whether that was possible.

        The name of a graph output stays: then the maker of the node's input takes it. Not possible where that input is
        itself an input, a constant or an output of the graph.
        """
        source, result = node.input[0], node.output[0]
        if not self.is_output(result):
            self.remove([node])
            self.replace_uses(result, source)
            return True
        maker = self._producers.get(source)
        if maker is None or self.is_output(source):
            return False
        self.remove([node])
        self.set_output(maker, list(maker.output).index(source), result)
        self.replace_uses(source, result)
        return True

    def bodies(self, node: NodeProto) -> list[Graph]:
        """Return views of the graphs inside a node; ``write`` puts their changes into the node."""
        return [self._body(graph) for graph in subgraphs(node)]

    def _body(self, graph: GraphProto) -> Graph:
        body = Graph.__new__(Graph)
        body._model, body._numbers_from = self._model, self._numbers_from
        body._index(graph, outer=self)
        return body

    def write(self) -> None:
        """Write nodes and initializers into the graph's own message, as they stand."""
        replace_all(self._proto.node, self.nodes)
        replace_all(self._proto.initializer, self._initializers.values())

    def prune(self) -> None:
        """Remove nodes that nothing reads and initializers that nothing uses; sort the rest."""
        alive = set(self.outputs)
        kept: list[NodeProto] = []
        for node in reversed(self.sorted_nodes()):
            if any(name in alive for name in node.output):
                kept.append(node)
                alive.update(reads(node))
            else:
                self._disconnect(node)
        self.nodes = kept[::-1]
        self._initializers = {name: tensor for name, tensor in self._initializers.items() if name in alive}
        self._arrays = {name: values for name, values in self._arrays.items() if name in alive}

    def sorted_nodes(self) -> list[NodeProto]:
        """Return the nodes in an order in which each comes after what it reads, otherwise as they stood.

        Raises:
            ModelError: There is no such order.
        """
        if self._is_sorted():
            return list(self.nodes)
        position = {id(node): index for index, node in enumerate(self.nodes)}
        waiting: dict[int, int] = {}
        readers: dict[int, list[NodeProto]] = {}
        for node in self.nodes:
            makers = {id(maker) for name in reads(node) if (maker := self._producers.get(name)) is not None}
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
            raise ModelError("the graph has a cycle", expected="nodes that can be computed one after another")
        return order

    def _is_sorted(self) -> bool:
        """Return whether each node stands after what it reads."""
        seen: set[int] = set()
        for node in self.nodes:
            for name in reads(node):
                maker = self._producers.get(name)
                if maker is not None and id(maker) not in seen:
                    return False
            seen.add(id(node))
        return True

    def part(self, nodes: Sequence[NodeProto], outputs: Sequence[str]) -> ModelProto:
        """Return a model of nodes that read initializers only, and of what they read; it gives ``outputs``."""
        read = {name for node in nodes for name in node.input}
        constants = [tensor for name, tensor in self._initializers.items() if name in read]
        results = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(nodes, "constants", [], results, constants)
        imports = self._model.opset_import
        return helper.make_model(graph, opset_imports=imports, ir_version=self._model.ir_version)

    def model(self) -> ModelProto:
        """Return the edited model: sorted, without dead nodes, unused initializers, stale shapes or opset imports."""
        self.prune()
        self.forget_values()  # while the constants' messages are copied
        result = ModelProto()
        result.CopyFrom(self._model)
        graph = result.graph
        graph.node.extend(self.nodes)
        graph.initializer.extend(self._initializers.values())
        used = {node.domain for node in all_nodes(graph)} - set(DEFAULT_DOMAINS)
        imports = {entry.domain: entry.version for entry in result.opset_import if entry.domain in used}
        if MICROSOFT in used:
            imports.setdefault(MICROSOFT, 1)
        imports[DEFAULT_DOMAIN] = self.opset
        del result.opset_import[:]
        result.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in sorted(imports.items()))
        result.ir_version = max(
            result.ir_version, helper.find_min_ir_version_for(result.opset_import, ignore_unknown=True)
        )
        return result

    # -- inside -------------------------------------------------------------------------------------------------

    def _connect(self, node: NodeProto) -> None:
        self._producers.update((name, node) for name in node.output if name)
        for name in dict.fromkeys(reads(node)):
            self._consumers.setdefault(name, []).append(node)

    def _disconnect(self, node: NodeProto) -> None:
        for name in node.output:
            if self._producers.get(name) is node:
                del self._producers[name]
        for name in dict.fromkeys(reads(node)):
            self._consumers[name] = [reader for reader in self._consumers[name] if reader is not node]

    def _store_constants(self) -> None:
        stored = []
        for node in self.nodes:
            tensor = constant_value(node) if is_op(node, "Constant") and not self.is_output(node.output[0]) else None
            if tensor is not None:
                self._initializers[tensor.name] = tensor
                stored.append(node)
        self.remove(stored)
