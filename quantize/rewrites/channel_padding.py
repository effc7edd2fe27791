"""Input channels of a Conv padded to a multiple of 4 with zeros, where no other rewrite makes them one.

onnxruntime's fast path for an integer Conv wants input channels in multiples of 4 and at least 16 output channels in
multiples of 4 (MLAS, ConvSym dispatch on x86). A first Conv of stride 1 on 3 channels misses it by one channel. The
weights of the added channels are the weight's zero point, so the integer sums are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, add_move
from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.nodes import attribute
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower

INPUT_CHANNELS = 4
OUTPUT_CHANNELS = 4
FEWEST_OUTPUTS = 16


def _apply(graph: Graph) -> Sequence[str]:
    convs = [node for node in graph.sorted_nodes() if node.op_type == "Conv" and not node.domain]
    return [node.name for node in convs if _rewrite(graph, node)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    convs = [node for node in graph.nodes if node.name in names]
    return [f"{conv.name} has {found} input channels" for conv in convs if (found := _channels(graph, conv)) % 4]


def _channels(graph: Graph, conv: NodeProto) -> int:
    weight = quantized_input(graph, conv.input[1])
    values = graph.constant(weight.integers) if weight is not None else None
    return values.shape[1] if values is not None else 0


def _rewrite(graph: Graph, node: NodeProto) -> bool:
    source, weight = quantized_input(graph, node.input[0]), quantized_input(graph, node.input[1])
    values = graph.constant(weight.integers) if weight is not None else None
    if source is None or source.by.axis is not None or weight is None or values is None or values.ndim != 4:
        return False
    outputs, channels = values.shape[:2]
    missing = -channels % INPUT_CHANNELS
    if not missing or attribute(node, "group", 1) != 1 or weight.by.axis not in (None, 0):
        return False
    if outputs < FEWEST_OUTPUTS or outputs % OUTPUT_CHANNELS:
        return False
    pads = graph.add_constant(f"{node.name}_pads", np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64))
    zero = graph.add_constant(f"{node.name}_zero", np.array(0, np.float32))
    padded = add_move(graph, "Pad", node.input[0], source.by, name=f"{node.name}_Pad", further=[pads, zero])
    zero_points = weight.by.zero_point if weight.by.axis is None else weight.by.zero_point.reshape(-1, 1, 1, 1)
    wide = np.empty((outputs, channels + missing, *values.shape[2:]), values.dtype)
    wide[...] = zero_points
    wide[:, :channels] = values
    graph.set_input(node, 0, padded)
    graph.set_input(node, 1, add_dequantize(graph, graph.add_constant(f"{weight.integers}_padded", wide), weight.by))
    return True


CHANNEL_PADDING = Rewrite("channel-padding", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Every quantized Conv without groups on 1 to 3 channels more than a multiple of 4."""
