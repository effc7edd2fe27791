"""The nodes that compute what a few nodes take, and nothing else."""

from __future__ import annotations

from collections.abc import Collection

from quantize.graph.nodes import WEIGHTED
from quantize.graph.view import Graph


def with_private_makers(graph: Graph, nodes: Collection[str], *, shared: bool = False) -> tuple[str, ...]:
    """Return nodes and those without weights that compute something for them alone, such as a norm's mean of squares.

    Args:
        graph: The graph that they are in.
        nodes: Their names.
        shared: Whether the nodes that make what they take come along too, with weights or for others as well.

    Returns:
        The nodes' names, the given ones first.
    """
    found = dict.fromkeys(nodes)
    if shared:
        found |= dict.fromkeys(_makers(graph, tuple(found)))
    waiting = tuple(found)
    while waiting:
        waiting = tuple(name for name in _makers(graph, waiting) if name not in found and _is_private(graph, name))
        found |= dict.fromkeys(waiting)
    return tuple(found)


def _makers(graph: Graph, nodes: Collection[str]) -> tuple[str, ...]:
    takers = [node for name in nodes if (node := graph.node(name)) is not None]
    makers = [graph.producer(name) for node in takers for name in node.input if name]
    return tuple(dict.fromkeys(maker.name for maker in makers if maker is not None))


def _is_private(graph: Graph, name: str) -> bool:
    node = graph.node(name)
    if node is None or node.op_type in WEIGHTED:
        return False
    return not any(graph.is_output(made) or len(graph.consumers(made)) > 1 for made in node.output if made)
