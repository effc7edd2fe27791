"""Fold padding, and additions and multiplications by channel, into the Conv next to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.graph.nodes import attribute, is_op, set_attribute, take_attribute
from quantize.graph.view import Graph

Channels = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """``y = scale * x + shift``, one number per channel each, float64 of shape (C,)."""

    scale: Channels
    shift: Channels


def fold_affine(graph: Graph) -> None:
    """Fold BatchNormalization, and Mul, Add, Sub and Div by constants of a channel, into the Conv before.

    Where a BatchNormalization stands after no Conv, the Mul and Add behind it are folded into it. The products are
    computed in float64 and stored in float32.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2, batch normalization folding.
    """
    gone: set[int] = set()
    for node in list(graph.nodes):
        if id(node) in gone or not is_op(node, "Conv", "BatchNormalization"):
            continue
        channels = _channels(graph, node)
        while channels is not None:
            follower = graph.sole_consumer(node.output[0])
            affine = None if follower is None else affine_step(graph, follower, node.output[0], channels)
            if follower is None or affine is None:
                break
            (_fold_into_conv if is_op(node, "Conv") else _fold_into_norm)(graph, node, affine)
            gone.add(id(follower))
            graph.take_over(node, follower)


def merge_padding(graph: Graph) -> None:
    """Add the pads of every Pad with zeros over height and width to those of the Conv that alone reads it.

    Exact: both put zeros around the same pixels. The opset has to be 11 or newer, where pads are an input.
    """
    for node in list(graph.nodes):
        conv = graph.sole_consumer(node.output[0]) if is_op(node, "Pad") else None
        pads = _zero_pads(graph, node) if conv is not None else None
        if conv is None or pads is None or not is_op(conv, "Conv") or conv.input[0] != node.output[0]:
            continue
        own = _own_pads(conv, pads.size)
        if own is None or pads.size != own.size:
            continue
        take_attribute(conv, "auto_pad")
        set_attribute(conv, "pads", [int(size) for size in own + pads])
        graph.bypass(node)


def _channels(graph: Graph, node: NodeProto) -> int | None:
    """Return the number of output channels of a node that can be folded into, else None."""
    parameters = [graph.constant(name) for name in node.input[1:] if name]
    if any(values is None or values.dtype != np.float32 for values in parameters) or not parameters:
        return None
    if is_op(node, "BatchNormalization") and any(node.output[1:]):
        return None
    assert parameters[0] is not None
    return int(parameters[0].shape[0])


def affine_step(graph: Graph, node: NodeProto, source: str, channels: int, *, last: bool = False) -> Affine | None:
    """Return what a node does to each channel of ``source``, where that is a product and a sum of constants.

    Args:
        graph: The graph.
        node: A node that reads ``source``.
        source: The tensor.
        channels: How many channels it has.
        last: They are the last axis, not the second one.
    """
    if is_op(node, "BatchNormalization"):
        if last or node.input[0] != source or any(node.output[1:]):
            return None
        return _normalization(graph, node)
    if not is_op(node, "Mul", "Add", "Sub", "Div"):
        return None
    first = node.input[0] == source
    values = graph.constant(node.input[1 if first else 0])
    per_channel = None if values is None else _per_channel(values, channels, last=last)
    if per_channel is None:
        return None
    unscaled, unshifted = np.ones(channels), np.zeros(channels)
    if node.op_type == "Mul":
        return Affine(per_channel, unshifted)
    if node.op_type == "Add":
        return Affine(unscaled, per_channel)
    if node.op_type == "Sub":
        return Affine(unscaled, -per_channel) if first else Affine(-unscaled, per_channel)
    return Affine(1 / per_channel, unshifted) if first and per_channel.all() else None


def _normalization(graph: Graph, node: NodeProto) -> Affine | None:
    parameters = [graph.constant(name) for name in node.input[1:5]]
    scale, shift, mean, variance = (None if p is None else p.astype(np.float64) for p in parameters)
    if scale is None or shift is None or mean is None or variance is None:
        return None
    factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    return Affine(factor, shift - mean * factor)


def _per_channel(values: NDArray[np.generic], channels: int, *, last: bool) -> Channels | None:
    """Return a constant as one number per channel, float64; None where it is more, or of another axis.

    Channels are the second of the four axes (N, C, H, W), or the last of any.
    """
    if values.dtype != np.float32 or values.ndim > 4:
        return None
    shape = (1,) * (4 - values.ndim) + values.shape
    own, others = (shape[-1], shape[:-1]) if last else (shape[1], (shape[0], *shape[2:]))
    if own not in (1, channels) or any(size != 1 for size in others):
        return None
    return np.broadcast_to(values.reshape(-1).astype(np.float64), (channels,)).copy()


def _fold_into_conv(graph: Graph, conv: NodeProto, affine: Affine) -> None:
    weights = graph.constant(conv.input[1])
    bias = graph.constant(conv.input[2]) if len(conv.input) > 2 and conv.input[2] else np.zeros(len(affine.scale))
    assert weights is not None
    assert bias is not None
    scaled = weights.astype(np.float64) * affine.scale.reshape(-1, *[1] * (weights.ndim - 1))
    replace_constant(graph, conv, 1, scaled)
    replace_constant(graph, conv, 2, bias * affine.scale + affine.shift)


def _fold_into_norm(graph: Graph, node: NodeProto, affine: Affine) -> None:
    scale, shift = graph.constant(node.input[1]), graph.constant(node.input[2])
    assert scale is not None
    assert shift is not None
    replace_constant(graph, node, 1, scale.astype(np.float64) * affine.scale)
    replace_constant(graph, node, 2, shift.astype(np.float64) * affine.scale + affine.shift)


def replace_constant(graph: Graph, node: NodeProto, position: int, values: NDArray[np.float64]) -> None:
    """Let a node read these values, as float32, in place of a constant that other nodes may read too."""
    given = node.input[position] if position < len(node.input) else ""
    hint = given or f"{node.input[1]}_bias"
    name = graph.add_constant(f"{hint.removesuffix('_folded')}_folded", values.astype(np.float32))
    graph.set_input(node, position, name)


def _zero_pads(graph: Graph, node: NodeProto) -> NDArray[np.int64] | None:
    """Return the pads over the spatial dimensions, all begins before all ends, where the Pad is nothing else."""
    pads = graph.constant(node.input[1])
    value = graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    with_axes = len(node.input) > 3 and node.input[3]
    if attribute(node, "mode", "constant") != "constant" or pads is None or value is None or value.any() or with_axes:
        return None
    begins, ends = np.split(pads.astype(np.int64), 2)
    if begins[:2].any() or ends[:2].any() or pads.min() < 0:
        return None
    spatial: NDArray[np.int64] = np.concatenate([begins[2:], ends[2:]])
    return spatial


def _own_pads(conv: NodeProto, size: int) -> NDArray[np.int64] | None:
    automatic = attribute(conv, "auto_pad", "NOTSET")
    if automatic not in ("NOTSET", "VALID"):
        return None
    return np.asarray(attribute(conv, "pads") or [0] * size, dtype=np.int64)
