"""Softmax from opset 12 to 13: from all dimensions after an axis to one dimension."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from quantize.graph.nodes import attribute
from quantize.graph.opsets.step import Step, cannot, set_attribute


def softmax_axis(node: NodeProto, step: Step) -> list[NodeProto] | None:
    """Keep what Softmax, LogSoftmax or Hardmax computes while the meaning of its axis changes.

    Up to opset 12 they normalize over all dimensions from ``axis`` (default 1) on together; from opset 13 on over the
    one dimension ``axis`` (default -1). Where at most one of those dimensions is not 1, as with scores (N, classes, 1,
    1), that dimension is the new axis and nothing else changes. Otherwise the dimensions are flattened and restored.

    Raises:
        ModelError: The shape cannot be inferred.
    """
    if attribute(node, "axis") == -1:
        return None
    shape = step.shape(node.input[0]) or step.shape(node.output[0])
    if shape is None:
        raise cannot(node, step, "its input's shape cannot be inferred")
    axis = attribute(node, "axis", 1) % len(shape)
    wide = [position for position in range(axis, len(shape)) if shape[position] != 1]
    if len(wide) <= 1:
        set_attribute(node, "axis", wide[0] if wide else axis)
        return None
    return _flattened(node, step, axis)


def _flattened(node: NodeProto, step: Step, axis: int) -> list[NodeProto]:
    source, result = node.input[0], node.output[0]
    flat, scores, sizes = (step.fresh(f"{result}_{name}") for name in ("flat", "scores", "shape"))
    leading = step.add_constant(f"{result}_leading", np.array([0] * axis + [-1], dtype=np.int64))
    node.input[0], node.output[0] = flat, scores
    set_attribute(node, "axis", -1)
    return [
        helper.make_node("Shape", [source], [sizes]),
        helper.make_node("Reshape", [source, leading], [flat]),
        node,
        helper.make_node("Reshape", [scores, sizes], [result]),
    ]
