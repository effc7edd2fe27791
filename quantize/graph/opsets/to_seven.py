"""Opsets 4 to 7: broadcasting as in numpy, shapes as inputs, in-place and training attributes gone."""

from __future__ import annotations

from onnx import NodeProto, TensorProto

from quantize.graph.nodes import attribute, set_attribute, take_attribute
from quantize.graph.opsets.adapters import ANY_OPERATOR, Adapter, Step, attribute_to_input, cannot, drop, refuse

_BROADCASTING = ["Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"]
_RECURRENT = refuse("a recurrent operator of an opset before 7")


def concat_axis(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 4: the axis has no default any more; it was 1."""
    set_attribute(node, "axis", attribute(node, "axis", 1))


def cast_type(node: NodeProto, step: Step) -> None:
    """Opset 6: the type is a number, no longer a name."""
    name = attribute(node, "to")
    if name not in TensorProto.DataType.keys():  # noqa: SIM118 - an enum wrapper, no dict
        raise cannot(node, step, f"unknown type {name!r}")
    set_attribute(node, "to", TensorProto.DataType.Value(name))


def selu_constants(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 6: the defaults got more digits."""
    take_attribute(node, "consumed_inputs")
    set_attribute(node, "alpha", attribute(node, "alpha", 1.6732))
    set_attribute(node, "gamma", attribute(node, "gamma", 1.0507))


def broadcast_by_axis(node: NodeProto, step: Step) -> None:
    """Opset 7: shapes are aligned at the end as in numpy, no longer at an ``axis`` of the first input."""
    enabled, axis = take_attribute(node, "broadcast", 0), take_attribute(node, "axis")
    if not enabled or axis is None:
        return
    left, right = step.shapes.get(node.input[0]), step.shapes.get(node.input[1])
    if left is None or right is None:
        raise cannot(node, step, f"broadcast along axis {axis} of tensors whose shapes cannot be inferred")
    missing = len(left) - (axis % len(left)) - len(right)
    if missing <= 0:
        return
    graph, hint = step.graph, f"{node.input[1]}_aligned"
    values = graph.constant(node.input[1])
    if values is not None:
        name = graph.add_constant(hint, values.reshape(*values.shape, *[1] * missing))
    else:
        name = graph.fresh(hint)
        axes = list(range(len(right), len(right) + missing))
        graph.add("Unsqueeze", [node.input[1]], [name], name=f"Unsqueeze_{name}", before=node, axes=axes)
    graph.set_input(node, 1, name)


def slope_per_channel(node: NodeProto, step: Step) -> None:
    """Opset 7: PRelu's slope is aligned at the end as in numpy; a list of slopes was one a channel."""
    slope, shape = step.graph.constant(node.input[1]), step.shapes.get(node.input[0])
    if slope is None or slope.ndim != 1 or slope.size == 1:
        return
    if shape is None:
        raise cannot(node, step, "slopes of a tensor whose shape cannot be inferred")
    aligned = slope.reshape(-1, *[1] * (len(shape) - 2))
    step.graph.set_input(node, 1, step.graph.add_constant(f"{node.input[1]}_aligned", aligned))


def inference_only(node: NodeProto, step: Step) -> None:
    """Opset 7: ``is_test`` is gone; BatchNormalization trains if it has more than one output."""
    take_attribute(node, "is_test")
    if node.op_type == "BatchNormalization" and any(node.output[1:]):
        raise cannot(node, step, "batch normalization in training mode")


def upsample_scales(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 7: one list of scales."""
    height, width = take_attribute(node, "height_scale"), take_attribute(node, "width_scale")
    set_attribute(node, "scales", [1.0, 1.0, float(height), float(width)])


ADAPTERS: dict[int, dict[str, Adapter]] = {
    4: {"Concat": concat_axis},
    5: {"Reshape": attribute_to_input("shape", 1)},
    6: {
        ANY_OPERATOR: drop("consumed_inputs"),
        "Cast": cast_type,
        "Selu": selu_constants,
        "Tile": refuse("a Tile of an opset before 6"),
    },
    7: {
        **dict.fromkeys(_BROADCASTING, broadcast_by_axis),
        **dict.fromkeys(("GRU", "LSTM", "RNN"), _RECURRENT),
        "BatchNormalization": inference_only,
        "Dropout": inference_only,
        "Gemm": drop("broadcast"),
        "PRelu": slope_per_channel,
        "Upsample": upsample_scales,
    },
}

READS_SHAPES = (broadcast_by_axis, slope_per_channel)
