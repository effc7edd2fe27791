"""Which weights need 7 bits so that no sum of two products exceeds 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.formats.saturation import can_saturate, is_depthwise
from quantize.graph.nodes import attribute

_LARGEST = 127


def could_saturate(weights: NDArray[np.floating[Any]], axis: int | None, users: Sequence[NodeProto]) -> bool:
    """Return whether sums of products of uint8 activations and these weights, in 8 bits, can leave 16 bits.

    Args:
        weights: In float; int8 codes are symmetric around zero.
        axis: Of the output channels, each with a scale of its own; None: one scale for all, and any two weights may be
            neighbours.
        users: The nodes that take them.
    """
    if users and all(_is_depthwise(node, weights.shape) for node in users):
        return False
    rows = weights.reshape(1, -1) if axis is None else np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    codes = np.rint(rows / np.where(largest > 0, largest, 1) * _LARGEST).astype(np.int32)
    return can_saturate(codes)


def _is_depthwise(node: NodeProto, shape: tuple[int, ...]) -> bool:
    return "Conv" in node.op_type and len(shape) == 4 and is_depthwise(shape, attribute(node, "group", 1))
