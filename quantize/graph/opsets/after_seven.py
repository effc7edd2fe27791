"""Opsets 8 and newer: attributes that became inputs, Resize, the axis of Softmax, and renamed modes."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from quantize.graph.nodes import attribute, set_attribute, take_attribute
from quantize.graph.opsets.adapters import Adapter, Step, attribute_to_input, cannot, each, refuse, rename
from quantize.graph.view import Graph

_REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"]
_GRID_MODES = {"bilinear": "linear", "bicubic": "cubic"}


def spatial_statistics(node: NodeProto, step: Step) -> None:
    """Opset 9: BatchNormalization has one mean per channel, no longer one per pixel."""
    if take_attribute(node, "spatial", 1) != 1:
        raise cannot(node, step, "batch normalization with a mean for every pixel")


def top_count(node: NodeProto, step: Step) -> None:
    """Opset 10: the count of a TopK is an input of shape [1]."""
    count = np.array([take_attribute(node, "k")], dtype=np.int64)
    step.graph.set_input(node, 1, step.graph.add_constant(f"{node.output[0]}_k", count))


def resize_coordinates(node: NodeProto, step: Step) -> None:
    """Opset 11: Resize says how it maps pixels; before, it mapped by the scale alone.

    Before opset 11 onnxruntime takes the pixel below where it enlarges, and the one above where it shrinks.
    """
    scales = step.graph.constant(node.input[1])
    if scales is None:
        raise cannot(node, step, "scales that the graph computes")
    step.graph.set_input(node, 2, node.input[1])
    # The region may be left out from opset 13 on only.
    step.graph.set_input(node, 1, step.graph.add_constant(f"{node.output[0]}_region", np.zeros(0, np.float32)))
    set_attribute(node, "coordinate_transformation_mode", "asymmetric")
    if attribute(node, "mode", "nearest") == "nearest":
        set_attribute(node, "nearest_mode", "ceil" if (scales < 1).any() else "floor")


def softmax_axis(node: NodeProto, step: Step) -> None:
    """Keep what Softmax, LogSoftmax or Hardmax computes while the meaning of its axis changes.

    Up to opset 12 they normalize over all dimensions from ``axis`` (default 1) on together; from opset 13 on over the
    one dimension ``axis`` (default -1). Where at most one of those dimensions is not 1, as with scores (N, classes, 1,
    1), that dimension is the new axis and nothing else changes. Otherwise the dimensions are flattened and restored.

    Raises:
        ModelError: The shape cannot be inferred.
    """
    if attribute(node, "axis") == -1:
        return
    shape = step.shapes.get(node.input[0]) or step.shapes.get(node.output[0])
    if shape is None:
        raise cannot(node, step, "its input's shape cannot be inferred")
    axis = attribute(node, "axis", 1) % len(shape)
    wide = [position for position in range(axis, len(shape)) if shape[position] != 1]
    if len(wide) <= 1:
        set_attribute(node, "axis", wide[0] if wide else axis)
    else:
        _flatten(node, step.graph, axis)


def _flatten(node: NodeProto, graph: Graph, axis: int) -> None:
    source, result = node.input[0], node.output[0]
    flat, scores, sizes = (graph.fresh(f"{result}_{name}") for name in ("flat", "scores", "shape"))
    leading = graph.add_constant(f"{result}_leading", np.array([0] * axis + [-1], dtype=np.int64))
    graph.add("Shape", [source], [sizes], name=f"Shape_{sizes}", before=node)
    graph.add("Reshape", [source, leading], [flat], name=f"Reshape_{flat}", before=node)
    graph.set_input(node, 0, flat)
    graph.set_output(node, 0, scores)
    set_attribute(node, "axis", -1)
    graph.add("Reshape", [scores, sizes], [result], name=f"Reshape_{result}")


def split_count(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 18: a Split without sizes says into how many parts."""
    if len(node.input) < 2 or not node.input[1]:
        set_attribute(node, "num_outputs", len(node.output))


def grid_mode(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 20: the modes of GridSample have the names of any number of dimensions."""
    mode = attribute(node, "mode", "bilinear")
    set_attribute(node, "mode", _GRID_MODES.get(mode, mode))


ADAPTERS: dict[int, dict[str, Adapter]] = {
    9: {
        "BatchNormalization": spatial_statistics,
        "Scan": refuse("a Scan of an opset before 9"),
        "Upsample": attribute_to_input("scales", 1, np.float32),
    },
    10: {
        "Slice": each(*(attribute_to_input(name, at) for at, name in enumerate(("starts", "ends", "axes"), start=1))),
        "TopK": top_count,
        "Upsample": rename("Resize"),
    },
    11: {
        "Clip": each(attribute_to_input("min", 1, np.float32), attribute_to_input("max", 2, np.float32)),
        "Pad": each(attribute_to_input("pads", 1), attribute_to_input("value", 2, np.float32)),
        "Resize": resize_coordinates,
        "Scatter": rename("ScatterElements"),
    },
    12: {"Dropout": attribute_to_input("ratio", 1, np.float32)},
    13: {
        "Hardmax": softmax_axis,
        "LogSoftmax": softmax_axis,
        "ReduceSum": attribute_to_input("axes", 1),
        "Softmax": softmax_axis,
        "Split": attribute_to_input("split", 1),
        "Squeeze": attribute_to_input("axes", 1),
        "Unsqueeze": attribute_to_input("axes", 1),
    },
    18: {**{f"Reduce{name}": attribute_to_input("axes", 1) for name in _REDUCTIONS}, "Split": split_count},
    20: {"DFT": refuse("a DFT of an opset before 20"), "GridSample": grid_mode},
    21: {"GroupNormalization": refuse("a GroupNormalization of an opset before 21")},
}

READS_SHAPES = (softmax_axis,)
