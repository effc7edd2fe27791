"""Adapters that bring a node to another opset, and those that many operators share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from quantize.errors import ModelError
from quantize.graph.nodes import take_attribute
from quantize.graph.shapes import Shape
from quantize.graph.view import Graph


@dataclass(frozen=True)
class Step:
    """One version of the default operator set that a graph is raised to.

    Attributes:
        graph: The graph, or the body inside one of its nodes, that holds the node to adapt.
        version: The new version.
        shapes: The main graph's shapes in the state before, where an adapter of this version reads them.
        where: The model's name in errors.
    """

    graph: Graph
    version: int
    shapes: Mapping[str, Shape]
    where: str | None


Adapter = Callable[[NodeProto, Step], None]
"""Changes a node of the default domain from the version before to the new one, in place."""

ANY_OPERATOR = "*"
"""Stands for the operators that have no adapter of their own in a version."""


def attribute_to_input(attribute_name: str, position: int, dtype: type[np.generic] = np.int64) -> Adapter:
    """Return the adapter for an attribute that became an input."""

    def adapt(node: NodeProto, step: Step) -> None:
        value = take_attribute(node, attribute_name)
        if value is not None:
            hint = f"{node.output[0]}_{attribute_name}"
            step.graph.set_input(node, position, step.graph.add_constant(hint, np.asarray(value, dtype=dtype)))

    return adapt


def each(*adapters: Adapter) -> Adapter:
    """Return the adapter that applies several."""

    def adapt(node: NodeProto, step: Step) -> None:
        for adapter in adapters:
            adapter(node, step)

    return adapt


def rename(op_type: str) -> Adapter:
    """Return the adapter for an operator that only got another name."""

    def adapt(node: NodeProto, step: Step) -> None:  # noqa: ARG001 - every adapter takes both
        node.op_type = op_type

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
