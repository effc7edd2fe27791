"""An If whose condition is known becomes the branch that it takes."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto

from quantize.graph.fixed_shapes import shape_values
from quantize.graph.nodes import attribute, attributes, is_op, rename_reads
from quantize.graph.view import Graph


def store_known_sizes(graph: Graph) -> bool:
    """Store what is computed from known shapes, where the conditions of Ifs or the amounts of Pads may follow from it.

    torch.jit exports such conditions, and exports of TensorFlow by way of PyTorch such amounts. Other graphs are left
    as they are.

    Returns:
        Whether there was anything: once constants are folded, more shapes may be known.
    """
    if not any(is_op(node, "If") or _pads_by_what_is_computed(graph, node) for node in graph.nodes):
        return False
    found = False
    for name, value in shape_values(graph, graph.shapes()).items():
        maker = graph.producer(name)
        sizes = value if isinstance(value, tuple) else (value,)
        if maker is None or graph.is_output(name) or not all(isinstance(size, int) for size in sizes):
            continue
        narrow = is_op(maker, "Cast") and attribute(maker, "to") == TensorProto.INT32
        graph.remove([maker])
        graph.set_constant(name, np.array(value, np.int32 if narrow else np.int64))
        found = True
    return found


def _pads_by_what_is_computed(graph: Graph, node: NodeProto) -> bool:
    return is_op(node, "Pad") and len(node.input) > 1 and graph.constant(node.input[1]) is None


def take_known_branches(graph: Graph) -> bool:
    """Put the branch that is taken in the place of every If whose condition is a constant; return whether there was."""
    found = False
    while (node := next((own for own in graph.nodes if _is_decided(graph, own)), None)) is not None:
        condition = graph.constant(node.input[0])
        taken = condition is not None and bool(condition.reshape(()))
        _put_in_place(graph, node, attribute(node, "then_branch" if taken else "else_branch"))
        found = True
    return found


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
