"""An If whose condition is known becomes the branch that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto

from quantize.graph.fixed_shapes import shape_values
from quantize.graph.nodes import all_nodes, attribute, attributes, is_op, rename_reads, subgraphs
from quantize.graph.view import Graph

_INTEGERS: Mapping[int, np.dtype[Any]] = {
    TensorProto.INT32: np.dtype(np.int32),
    TensorProto.INT64: np.dtype(np.int64),
}
"""What sizes are computed in."""


def store_known_sizes(graph: Graph) -> bool:
    """Store what is computed from known shapes, where the conditions of Ifs or the amounts of Pads may follow from it.

    torch.jit exports such conditions, and exports of TensorFlow by way of PyTorch such amounts. Other graphs are left
    as they are.

    Returns:
        Whether there was anything: once constants are folded, more shapes may be known.
    """
    has_ifs, needed, found = any(is_op(node, "If") for node in graph.nodes), _needed_by_pads(graph), False
    if not has_ifs and not needed:
        return False
    for name, value in shape_values(graph, graph.shapes()).items():
        maker, integers = graph.producer(name), _integers(graph, name)
        sizes = value if isinstance(value, tuple) else (value,)
        if maker is None or graph.is_output(name) or not all(isinstance(size, int) for size in sizes):
            continue
        # What else is computed from sizes, such as a shape with the batch in it, is left to hold for any batch.
        if integers is None or not (has_ifs or name in needed):
            continue
        graph.remove([maker])
        graph.set_constant(name, np.array(value, integers))
        found = True
    return found


def _needed_by_pads(graph: Graph) -> set[str]:
    """Return the tensors that the amounts of Pads are computed from, and those amounts."""
    waiting = [node.input[1] for node in graph.nodes if is_op(node, "Pad") and len(node.input) > 1]
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        maker = graph.producer(name)
        if name not in needed and maker is not None:
            needed.add(name)
            waiting += [] if is_op(maker, "Shape") else [given for given in maker.input if given]
    return needed


def _integers(graph: Graph, name: str) -> np.dtype[Any] | None:
    """Return the type that picked and joined sizes have; None where they are no such integers, as behind a Cast."""
    while (maker := graph.producer(name)) is not None:
        if is_op(maker, "Shape"):
            return np.dtype(np.int64)
        if is_op(maker, "Cast"):
            return _INTEGERS.get(attribute(maker, "to"))
        name = maker.input[0]
    values = graph.constant(name)
    return values.dtype if values is not None and values.dtype in _INTEGERS.values() else None


def take_known_branches(graph: Graph) -> bool:
    """Put the branch that is taken in the place of every If whose condition is a constant; return whether there was."""
    found = False
    while (node := next((own for own in graph.nodes if _is_decided(graph, own)), None)) is not None:
        _put_in_place(graph, node, _taken(graph, node))
        found = True
    return found


def nodes_that_may_run(graph: Graph) -> Iterator[NodeProto]:
    """Yield every node of a graph and of the graphs inside its nodes, but of branches that an If never takes."""
    for node in graph.nodes:
        yield node
        if _is_decided(graph, node):
            yield from all_nodes(_taken(graph, node))
        else:
            for inner in subgraphs(node):
                yield from all_nodes(inner)


def _taken(graph: Graph, node: NodeProto) -> GraphProto:
    condition = graph.constant(node.input[0])
    assert condition is not None
    branch: GraphProto = attribute(node, "then_branch" if condition.reshape(()) else "else_branch")
    return branch


def _is_decided(graph: Graph, node: NodeProto) -> bool:
    return is_op(node, "If") and graph.constant(node.input[0]) is not None


def _put_in_place(graph: Graph, node: NodeProto, branch: GraphProto) -> None:
    inside = [name for own in branch.node for name in own.output if name]
    inside += [tensor.name for tensor in branch.initializer]
    made = {own for inner in branch.node for own in inner.output}
    names: dict[str, str] = {}
    copied: list[tuple[str, str]] = []
    for value, outer in zip(branch.output, node.output, strict=True):
        if value.name in made and value.name not in names and outer:
            names[value.name] = outer
        elif outer:
            copied.append((value.name, outer))  # a constant, a tensor from outside, or one that is given twice
    names.update((name, graph.fresh(name)) for name in inside if name not in names)
    view = Graph.of(branch)
    for tensor in branch.initializer:
        values = view.constant(tensor.name)
        assert values is not None
        graph.set_constant(names[tensor.name], values)
    for inner in branch.node:
        own = NodeProto()
        own.CopyFrom(inner)
        for old, new in names.items():
            rename_reads(own, old, new)
        outputs = [names.get(name, "") for name in own.output]
        kept = attributes(own)
        graph.add(own.op_type, list(own.input), outputs, name=own.name, domain=own.domain, before=node, **kept)
    for name, outer in copied:
        graph.add("Identity", [names.get(name, name)], [outer], name=f"{outer}_Identity", before=node)
    graph.remove([node])
