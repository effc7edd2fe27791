"""Opsets 8 to 13: attributes that became inputs, Resize, and the axis of Softmax."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from quantize.graph.nodes import attribute
from quantize.graph.opsets.softmax import softmax_axis
from quantize.graph.opsets.step import (
    Adapter,
    Step,
    attribute_to_input,
    cannot,
    refuse,
    set_attribute,
    set_input,
    take_attribute,
)


def spatial_statistics(node: NodeProto, step: Step) -> None:
    """Opset 9: BatchNormalization has one mean a channel, no more one a pixel."""
    if take_attribute(node, "spatial", 1) != 1:
        raise cannot(node, step, "batch normalization with a mean for every pixel")


def slice_bounds(node: NodeProto, step: Step) -> None:
    """Opset 10: the bounds of a Slice are inputs."""
    for position, name in enumerate(("starts", "ends", "axes"), start=1):
        attribute_to_input(name, position)(node, step)


def top_count(node: NodeProto, step: Step) -> None:
    """Opset 10: the count of a TopK is an input of shape [1]."""
    node.input.append(step.add_constant(f"{node.output[0]}_k", np.array([take_attribute(node, "k")], dtype=np.int64)))


def upsample_to_resize(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 10: Upsample is called Resize."""
    node.op_type = "Resize"


def clip_bounds(node: NodeProto, step: Step) -> None:
    """Opset 11: the bounds of a Clip are inputs."""
    for position, name in enumerate(("min", "max"), start=1):
        attribute_to_input(name, position, np.float32)(node, step)


def pad_sizes(node: NodeProto, step: Step) -> None:
    """Opset 11: the sizes and the value of a Pad are inputs."""
    attribute_to_input("pads", 1)(node, step)
    attribute_to_input("value", 2, np.float32)(node, step)


def resize_coordinates(node: NodeProto, step: Step) -> None:
    """Opset 11: Resize says how it maps pixels; before, it mapped by the scale alone.

    Before opset 11 onnxruntime takes the pixel below where it enlarges, and the one above where it shrinks.
    """
    scales = step.constant(node.input[1])
    if scales is None:
        raise cannot(node, step, "scales that the graph computes")
    node.input[:] = [node.input[0], "", node.input[1]]
    set_attribute(node, "coordinate_transformation_mode", "asymmetric")
    if attribute(node, "mode", "nearest") == "nearest":
        set_attribute(node, "nearest_mode", "ceil" if (scales < 1).any() else "floor")


def scatter_elements(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 11: Scatter is called ScatterElements."""
    node.op_type = "ScatterElements"


def dropout_ratio(node: NodeProto, step: Step) -> None:
    """Opset 12: the ratio of a Dropout is an input; without a third input it does nothing."""
    ratio = take_attribute(node, "ratio")
    if ratio is not None:
        set_input(node, 1, step.add_constant(f"{node.output[0]}_ratio", np.asarray(ratio, dtype=np.float32)))


ADAPTERS: dict[int, dict[str, Adapter]] = {
    9: {
        "BatchNormalization": spatial_statistics,
        "Scan": refuse("a Scan of an opset before 9"),
        "Upsample": attribute_to_input("scales", 1, np.float32),
    },
    10: {"Slice": slice_bounds, "TopK": top_count, "Upsample": upsample_to_resize},
    11: {"Clip": clip_bounds, "Pad": pad_sizes, "Resize": resize_coordinates, "Scatter": scatter_elements},
    12: {"Dropout": dropout_ratio},
    13: {
        "Hardmax": softmax_axis,
        "LogSoftmax": softmax_axis,
        "ReduceSum": attribute_to_input("axes", 1),
        "Softmax": softmax_axis,
        "Split": attribute_to_input("split", 1),
        "Squeeze": attribute_to_input("axes", 1),
        "Unsqueeze": attribute_to_input("axes", 1),
    },
}
