"""A Pad with zeros before a Conv becomes the Conv's own padding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from quantize.graph.nodes import attribute, is_op
from quantize.graph.wiring import Wiring


def merge_padding(model: ModelProto) -> None:
    """Add the pads of every Pad with zeros over height and width to those of the Conv that alone reads it. In place.

    Exact: both put zeros around the same pixels. The Pad is then dead code. The opset has to be 11 or newer, where pads
    are an input.
    """
    wiring = Wiring(model.graph)
    for node in wiring.nodes:
        if not is_op(node, "Pad"):
            continue
        conv = wiring.sole_reader(node.output[0])
        pads = _zero_pads(node, wiring)
        if conv is None or pads is None or not is_op(conv, "Conv") or conv.input[0] != node.output[0]:
            continue
        own = _own_pads(conv, pads.size)
        if own is None or pads.size != own.size:
            continue
        for entry in [entry for entry in conv.attribute if entry.name in ("pads", "auto_pad")]:
            conv.attribute.remove(entry)
        conv.attribute.append(helper.make_attribute("pads", [int(size) for size in own + pads]))
        wiring.bypass(node)


def _zero_pads(node: NodeProto, wiring: Wiring) -> NDArray[np.int64] | None:
    """Return the pads over the spatial dimensions, all begins before all ends, where the Pad is nothing else."""
    pads = wiring.array(node.input[1])
    value = wiring.array(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
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
