"""Raise the opset of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import onnx.defs
from onnx import ModelProto, NodeProto

from quantize.errors import ModelError
from quantize.graph.nodes import DEFAULT_DOMAINS, all_nodes, subgraphs
from quantize.graph.opsets import after_seven, to_seven
from quantize.graph.opsets.adapters import ANY_OPERATOR, Adapter, Step
from quantize.graph.view import Graph

OLDEST_OPSET = 3

ADAPTERS: dict[int, dict[str, Adapter]] = {**to_seven.ADAPTERS, **after_seven.ADAPTERS}
"""The operators whose definition changed so that a node of the version before has to change, by new version."""


READS_SHAPES = {*to_seven.READS_SHAPES, *after_seven.READS_SHAPES}
"""The adapters that ask for shapes."""


def raise_opset(model: ModelProto, opset: int, *, where: str | None = None) -> ModelProto:
    """Return a model that computes the same at a newer version of the default operator set; see ``raise_graph``.

    Args:
        model: Not changed; of opset 3 or newer.
        opset: At most the newest that the installed onnx knows; an older one than the model's leaves it as it is.
        where: The model's name in errors.
    """
    graph = Graph(model, numbers_from=2)
    raise_graph(graph, opset, where=where)
    return graph.model()


def raise_graph(graph: Graph, opset: int, *, where: str | None = None) -> list[NodeProto]:
    """Raise a graph to a newer version of the default operator set. It computes the same.

    Unlike ``onnx.version_converter`` it keeps names, takes operators of other domains, and leaves no Shape, Flatten and
    Reshape around a Softmax whose trailing dimensions are 1.

    Returns:
        The nodes of the graph itself, not of its bodies, that had to change.

    Raises:
        ModelError: The graph is of opset 1 or 2, or an operator cannot follow its definition's change.
        ValueError: There is no such opset.
    """
    if opset > (newest := onnx.defs.onnx_opset_version()):
        raise ValueError(f"opset {opset} is newer than opset {newest} of the installed onnx")
    if graph.opset < OLDEST_OPSET:
        raise ModelError(
            "the model's opset is too old",
            where=where,
            found=f"opset {graph.opset}",
            expected=f"opset {OLDEST_OPSET} or newer",
            advice="export the model again, best with opset 13",
        )
    changed: dict[int, NodeProto] = {}
    for version in range(graph.opset + 1, opset + 1):
        adapters = ADAPTERS.get(version, {})
        asks = any(
            _adapter(inner, adapters) in READS_SHAPES for node in graph.nodes for inner in (node, *_bodies(node))
        )
        step = Step(graph, version, graph.shapes() if asks else {}, where)
        changed |= {id(node): node for node in _adapt(step, adapters)}
        graph.opset = version
    return list(changed.values())


def _adapt(step: Step, adapters: Mapping[str, Adapter]) -> list[NodeProto]:
    changed = []
    for node in list(step.graph.nodes):
        if any(_adapter(inner, adapters) for inner in _bodies(node)):
            for body in step.graph.bodies(node):
                _adapt(replace(step, graph=body), adapters)
                body.write()
        adapter = _adapter(node, adapters)
        if adapter is not None:
            adapter(node, step)
            changed.append(node)
    return changed


def _adapter(node: NodeProto, adapters: Mapping[str, Adapter]) -> Adapter | None:
    return adapters.get(node.op_type, adapters.get(ANY_OPERATOR)) if node.domain in DEFAULT_DOMAINS else None


def _bodies(node: NodeProto) -> Iterator[NodeProto]:
    for body in subgraphs(node):
        yield from all_nodes(body)
