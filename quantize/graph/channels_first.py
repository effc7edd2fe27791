"""Let a graph take its image with the channels first, and cancel the Transposes between the two layouts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, TensorShapeProto

from quantize.graph.nodes import LINEAR, attribute, is_op, set_attribute
from quantize.graph.shapes import Shape
from quantize.graph.view import Graph

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Permutations of (N, H, W, C) to (N, C, H, W), and back."""

_BY_VALUE = (
    *("Abs", "Cast", "Ceil", "Clip", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu"),
    *("Log", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh"),
)
_JOINING = ("Add", "Div", "Max", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum")
_REDUCING = ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Squeeze")


def take_channels_first(graph: Graph) -> None:
    """Declare the image input, (N, H, W, C), as (N, C, H, W), and turn it back for what reads it."""
    name = graph.inputs[0]
    turned = graph.fresh(f"{name}_channels_last")
    graph.replace_uses(name, turned)
    graph.add("Transpose", [name], [turned], name=f"{name}_Transpose", perm=list(TO_LAST))
    (value,) = (value for value in graph.proto.input if value.name == name)
    shape, given = value.type.tensor_type.shape, TensorShapeProto()
    given.CopyFrom(shape)
    shape.ClearField("dim")
    shape.dim.extend(given.dim[at] for at in TO_FIRST)


def cancel_transposes(graph: Graph) -> Graph:
    """Move Transposes between the two layouts of an image behind what reads them, until they meet and cancel.

    What works value by value does so in any layout; constants, Concat, Pad and reductions are turned with it.

    Returns:
        A graph that computes the same with fewer of these Transposes, or the graph itself where that cannot be had.
        Its opset has to be 13 or newer.
    """
    before = len(_turns(graph))
    if not before or graph.opset < 13:
        return graph
    moved = Graph(graph.model(), numbers_from=2)
    while _move_one(moved):
        pass
    _merge(moved)
    moved.prune()
    return moved if len(_turns(moved)) < before else graph


def _move_one(graph: Graph) -> bool:
    shapes: dict[str, Shape] = graph.shapes()
    for turn in _turns(graph):
        perm, source = _permutation(turn), turn.input[0]
        assert perm is not None
        for reader in graph.consumers(turn.output[0]):
            if _is_plain(graph, reader) and _move(graph, reader, turn.output[0], source, perm, shapes.get(source)):
                return True
    return False


def _is_plain(graph: Graph, reader: NodeProto) -> bool:
    return len(reader.output) == 1 and not graph.bodies(reader)


def _move(graph: Graph, node: NodeProto, turned: str, source: str, perm: Sequence[int], shape: Shape | None) -> bool:
    """Let a node read what a Transpose reads instead of what it makes, and turn its output; or leave it."""
    if is_op(node, "Transpose"):
        return _joined(graph, node, source, perm)
    if is_op(node, *_BY_VALUE) or (is_op(node, *LINEAR) and _has_one_grid(graph, node)):
        graph.set_input(node, 0, source)
    elif is_op(node, *_JOINING, "Concat"):
        inputs = [source if name == turned else _turned_back(graph, node, name, perm) for name in node.input]
        if None in inputs:
            return False
        for position, name in enumerate(inputs):
            graph.set_input(node, position, name or "")
        if is_op(node, "Concat"):
            set_attribute(node, "axis", perm[attribute(node, "axis")])
    elif is_op(node, "Softmax", "LogSoftmax"):
        graph.set_input(node, 0, source)
        set_attribute(node, "axis", perm[attribute(node, "axis", -1)])
    elif is_op(node, "Pad"):
        pads = graph.constant(node.input[1])
        if pads is None or pads.size != 2 * len(perm):
            return False
        both = np.empty((2, len(perm)), np.int64)
        both[:, list(perm)] = pads.reshape(2, -1)
        graph.set_input(node, 0, source)
        graph.set_input(node, 1, graph.add_constant(node.input[1], both.reshape(-1)))
    elif is_op(node, *_REDUCING):
        return _reduced(graph, node, source, perm)
    elif is_op(node, "Flatten", "Reshape") and _keeps_order(graph, node, perm, shape):
        graph.set_input(node, 0, source)
        return True
    else:
        return False
    _turn_output(graph, node, perm)
    return True


def _has_one_grid(graph: Graph, node: NodeProto) -> bool:
    scale = graph.constant(node.input[1])
    return scale is not None and scale.size == 1


def _turn_output(graph: Graph, node: NodeProto, perm: Sequence[int]) -> None:
    result = node.output[0]
    graph.set_output(node, 0, graph.fresh(f"{result}_turned"))
    graph.add("Transpose", [node.output[0]], [result], name=f"{result}_Transpose", perm=list(perm))


def _joined(graph: Graph, node: NodeProto, source: str, perm: Sequence[int]) -> bool:
    """Let one Transpose stand for two, or none where they cancel."""
    both = [perm[axis] for axis in attribute(node, "perm", range(len(perm))[::-1])]
    graph.set_input(node, 0, source)
    if both == sorted(both):
        return graph.bypass(node)
    set_attribute(node, "perm", both)
    return True


def _turned_back(graph: Graph, node: NodeProto, name: str, perm: Sequence[int]) -> str | None:
    """Return what an input of a node is before the same Transpose, or None if it comes from none."""
    made_by = graph.producer(name)
    if made_by is not None and _permutation(made_by) == tuple(perm):
        return str(made_by.input[0])
    values = graph.constant(name) if made_by is None else None
    if values is None or values.ndim > len(perm) or (is_op(node, "Concat") and values.ndim < len(perm)):
        return None
    if values.size == 1 and not is_op(node, "Concat"):
        return name
    wide = values.reshape((1,) * (len(perm) - values.ndim) + values.shape)
    return graph.add_constant(name, np.ascontiguousarray(wide.transpose(np.argsort(perm))))


def _reduced(graph: Graph, node: NodeProto, source: str, perm: Sequence[int]) -> bool:
    """Reduce (or squeeze) the same axes of what was not turned; the other axes have to keep their order."""
    given = graph.constant(node.input[1]) if len(node.input) > 1 else np.array(attribute(node, "axes", ()), np.int64)
    if given is None or not given.size:
        return False
    axes = [perm[int(axis)] for axis in given.reshape(-1)]
    keeps = not is_op(node, "Squeeze") and attribute(node, "keepdims", 1) == 1
    rest = [axis for axis in perm if axis not in axes]
    if not keeps and rest != sorted(rest):
        return False
    graph.set_input(node, 0, source)
    if len(node.input) > 1:
        graph.set_input(node, 1, graph.add_constant(node.input[1], np.array(sorted(axes), np.int64)))
    else:
        set_attribute(node, "axes", sorted(axes))
    if keeps:
        _turn_output(graph, node, perm)
    return True


def _keeps_order(graph: Graph, node: NodeProto, perm: Sequence[int], shape: Shape | None) -> bool:
    """Return whether a Flatten or Reshape of a turned tensor lines its values up as that of the tensor itself."""
    if shape is None or len(shape) != len(perm):
        return False
    wide = [axis for axis in perm if shape[axis] != 1]
    if wide != sorted(wide):
        return False
    if is_op(node, "Flatten"):
        return bool(attribute(node, "axis", 1) == 1)
    target = graph.constant(node.input[1])
    return target is not None and not (target[1:] == 0).any() and not attribute(node, "allowzero", 0)


def _merge(graph: Graph) -> None:
    """Let one Transpose stand for all that turn the same tensor in the same way."""
    first: dict[tuple[str, tuple[int, ...]], NodeProto] = {}
    for node in _turns(graph):
        kept = first.setdefault((node.input[0], _permutation(node) or ()), node)
        if kept is not node and not graph.is_output(node.output[0]):
            graph.remove([node])
            graph.replace_uses(node.output[0], kept.output[0])


def _turns(graph: Graph) -> list[NodeProto]:
    return [node for node in graph.nodes if _permutation(node) in (TO_FIRST, TO_LAST)]


def _permutation(node: NodeProto) -> tuple[int, ...] | None:
    return tuple(attribute(node, "perm", ())) if is_op(node, "Transpose") else None
