"""What is added to and multiplied with each channel after a Conv becomes part of its weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from quantize.graph.nodes import attribute, is_op
from quantize.graph.wiring import Wiring

Channels = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """``y = scale * x + shift``, one number a channel each, float64 of shape (C,)."""

    scale: Channels
    shift: Channels


def fold_affine(model: ModelProto) -> None:
    """Fold BatchNormalization, and Mul, Add, Sub and Div by constants of a channel, into the Conv before. In place.

    Where a BatchNormalization stands after no Conv, the Mul and Add behind it are folded into it. The products are
    computed in float64 and stored in float32. Folded nodes are then dead code.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2, batch normalization folding.
    """
    wiring = Wiring(model.graph)
    gone: set[int] = set()
    for node in wiring.nodes:
        if id(node) in gone or not (is_op(node, "Conv", "BatchNormalization")):
            continue
        channels = _channels(node, wiring)
        while channels is not None:
            follower = wiring.sole_reader(node.output[0])
            affine = None if follower is None else _affine(follower, node.output[0], channels, wiring)
            if follower is None or affine is None:
                break
            (_fold_into_conv if is_op(node, "Conv") else _fold_into_norm)(node, affine, wiring)
            gone.add(id(follower))
            wiring.take_over(node, follower)


def _channels(node: NodeProto, wiring: Wiring) -> int | None:
    """Return the number of output channels of a node that can be folded into, else None."""
    parameters = [wiring.array(name) for name in node.input[1:] if name]
    if any(values is None or values.dtype != np.float32 for values in parameters) or not parameters:
        return None
    if is_op(node, "BatchNormalization") and any(node.output[1:]):
        return None
    assert parameters[0] is not None
    return int(parameters[0].shape[0])


def _affine(node: NodeProto, source: str, channels: int, wiring: Wiring) -> Affine | None:
    if is_op(node, "BatchNormalization"):
        return _normalization(node, wiring) if node.input[0] == source and not any(node.output[1:]) else None
    if not is_op(node, "Mul", "Add", "Sub", "Div"):
        return None
    first = node.input[0] == source
    values = wiring.array(node.input[1 if first else 0])
    per_channel = None if values is None else _per_channel(values, channels)
    if per_channel is None:
        return None
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op_type == "Mul":
        return Affine(per_channel, zero)
    if node.op_type == "Add":
        return Affine(one, per_channel)
    if node.op_type == "Sub":
        return Affine(one, -per_channel) if first else Affine(-one, per_channel)
    return Affine(1 / per_channel, zero) if first and per_channel.all() else None


def _normalization(node: NodeProto, wiring: Wiring) -> Affine | None:
    parameters = [wiring.array(name) for name in node.input[1:5]]
    scale, shift, mean, variance = (None if p is None else p.astype(np.float64) for p in parameters)
    if scale is None or shift is None or mean is None or variance is None:
        return None
    factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    return Affine(factor, shift - mean * factor)


def _per_channel(values: NDArray[np.generic], channels: int) -> Channels | None:
    """Return a constant that broadcasts over (N, C, H, W) along C only as one number a channel, else None."""
    if values.dtype != np.float32 or values.ndim > 4:
        return None
    shape = (1,) * (4 - values.ndim) + values.shape
    if shape[1] not in (1, channels) or any(size != 1 for size in (shape[0], *shape[2:])):
        return None
    return np.broadcast_to(values.reshape(-1).astype(np.float64), (channels,)).copy()


def _fold_into_conv(conv: NodeProto, affine: Affine, wiring: Wiring) -> None:
    weights = wiring.array(conv.input[1])
    bias = wiring.array(conv.input[2]) if len(conv.input) > 2 and conv.input[2] else np.zeros(len(affine.scale))
    assert weights is not None
    assert bias is not None
    scaled = weights.astype(np.float64) * affine.scale.reshape(-1, *[1] * (weights.ndim - 1))
    _replace_constant(conv, 1, scaled, wiring)
    _replace_constant(conv, 2, bias * affine.scale + affine.shift, wiring)


def _fold_into_norm(node: NodeProto, affine: Affine, wiring: Wiring) -> None:
    scale, shift = wiring.array(node.input[1]), wiring.array(node.input[2])
    assert scale is not None
    assert shift is not None
    _replace_constant(node, 1, scale.astype(np.float64) * affine.scale, wiring)
    _replace_constant(node, 2, shift.astype(np.float64) * affine.scale + affine.shift, wiring)


def _replace_constant(node: NodeProto, position: int, values: NDArray[np.float64], wiring: Wiring) -> None:
    while len(node.input) <= position:
        node.input.append("")
    hint = node.input[position] or f"{node.input[1]}_bias"
    node.input[position] = wiring.add_constant(f"{hint.removesuffix('_folded')}_folded", values.astype(np.float32))
