"""The fp32 model's graph, as far as a picture of its layers needs it."""

from __future__ import annotations

from onnx import ModelProto

from quantize.graph.nodes import reads
from quantize.graph.view import Graph
from quantize.report.section import Section

_MOST_NODES = 2_000
"""Nodes up to which a picture can be read, and a page stays small."""


class GraphNodeSection(Section):
    """One node.

    Attributes:
        name: Its name.
        op_type: Its operator.
        inputs: Positions of the nodes whose results it reads, each before its own.
    """

    name: str
    op_type: str
    inputs: tuple[int, ...]


class GraphSection(Section):
    """The nodes of the prepared fp32 model, in the order in which they run."""

    nodes: tuple[GraphNodeSection, ...]


def graph_section(model: ModelProto) -> GraphSection | None:
    """Return a model's nodes and which read which; None for a model of more than 2,000.

    What an If or a Loop holds inside belongs to it.

    Args:
        model: Its nodes are in the order in which they run.
    """
    graph = Graph.of(model)
    if len(graph.nodes) > _MOST_NODES:
        return None
    place: dict[str, int] = {}
    nodes = []
    for position, node in enumerate(graph.nodes):
        read = {place[name] for name in reads(node) if name in place}
        nodes.append(GraphNodeSection(name=node.name, op_type=node.op_type, inputs=tuple(sorted(read))))
        place |= {name: position for name in node.output if name}
    return GraphSection(nodes=tuple(nodes))
