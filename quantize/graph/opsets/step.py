"""One step of one opset version: what an adapter may ask about the graph and add to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from quantize.errors import ModelError
from quantize.graph.nodes import DEFAULT_DOMAINS, attribute, subgraphs
from quantize.graph.shape_inference import Shape, inferred_shapes


class Step:
    """The graph in the state before one version: valid in the opset that it declares."""

    def __init__(self, model: ModelProto, graph: GraphProto, version: int, where: str | None) -> None:
        self._model = model
        self._graph = graph
        self.version = version
        self.where = where
        self._names = {tensor.name for tensor in graph.initializer} | {value.name for value in graph.input}
        self._names |= {name for node in graph.node for name in (*node.input, *node.output)}

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return the values of an initializer, or None for another tensor."""
        found = next((tensor for tensor in self._graph.initializer if tensor.name == name), None)
        return None if found is None else numpy_helper.to_array(found)

    def add_constant(self, hint: str, values: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        name = self.fresh(hint)
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def fresh(self, hint: str) -> str:
        """Return an unused name for a tensor."""
        name, number = hint, 1
        while name in self._names:
            number += 1
            name = f"{hint}_{number}"
        self._names.add(name)
        return name

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a tensor of the main graph as far as it can be inferred; None where its rank cannot."""
        return self._shapes.get(name)

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        return inferred_shapes(self._model)


Adapter = Callable[[NodeProto, Step], "list[NodeProto] | None"]
"""Changes a node in place and returns None, or returns the nodes that take its place."""

ANY_OPERATOR = "*"
"""Stands for the operators that have no adapter of their own in a version."""


def apply_step(model: ModelProto, version: int, adapters: dict[str, Adapter], where: str | None = None) -> None:
    """Bring every node of the default domain, those in subgraphs too, from ``version - 1`` to ``version``. In place.

    Raises:
        ModelError: An operator changed in a way that cannot be followed.
    """
    _apply(model, model.graph, version, adapters, where)
    for entry in model.opset_import:
        if entry.domain in DEFAULT_DOMAINS:
            entry.version = version


def _apply(model: ModelProto, graph: GraphProto, version: int, adapters: dict[str, Adapter], where: str | None) -> None:
    step = Step(model, graph, version, where)
    nodes: list[NodeProto] = []
    for node in graph.node:
        for inner in subgraphs(node):
            _apply(model, inner, version, adapters, where)
        adapter = adapters.get(node.op_type, adapters.get(ANY_OPERATOR)) if node.domain in DEFAULT_DOMAINS else None
        replacement = None if adapter is None else adapter(node, step)
        nodes += [node] if replacement is None else replacement
    del graph.node[:]
    graph.node.extend(nodes)


def take_attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Remove an attribute of a node and return its value."""
    value = attribute(node, name, default)
    for entry in [entry for entry in node.attribute if entry.name == name]:
        node.attribute.remove(entry)
    return value


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Set an attribute of a node."""
    take_attribute(node, name)
    node.attribute.append(helper.make_attribute(name, value))


def set_input(node: NodeProto, position: int, name: str) -> None:
    """Let a node read a tensor at one position; positions between are left out (optional inputs)."""
    while len(node.input) <= position:
        node.input.append("")
    node.input[position] = name


def attribute_to_input(attribute_name: str, position: int, dtype: type[np.generic] = np.int64) -> Adapter:
    """Return the adapter for an attribute that became an input."""

    def adapt(node: NodeProto, step: Step) -> None:
        value = take_attribute(node, attribute_name)
        if value is not None:
            name = step.add_constant(f"{node.output[0]}_{attribute_name}", np.asarray(value, dtype=dtype))
            set_input(node, position, name)

    return adapt


def drop(*names: str) -> Adapter:
    """Return the adapter for attributes that do not exist any more and meant nothing at inference."""

    def adapt(node: NodeProto, step: Step) -> None:  # noqa: ARG001 - every adapter takes both
        for name in names:
            take_attribute(node, name)

    return adapt


def cannot(node: NodeProto, step: Step, reason: str) -> ModelError:
    """Return the error for an operator that cannot follow its definition's change."""
    return ModelError(
        f"the model cannot be raised to opset {step.version}",
        where=", ".join(filter(None, [step.where, f"node {node.name or node.output[0]!r} ({node.op_type})"])),
        found=reason,
        advice="export the model again with opset 13 or newer",
    )


def refuse(reason: str) -> Adapter:
    """Return the adapter for a change that is not followed."""

    def adapt(node: NodeProto, step: Step) -> None:
        raise cannot(node, step, reason)

    return adapt
