"""Pad the input channels of a Conv with zeros to a multiple of 4, where no other rewrite does.

onnxruntime's fast path for an integer Conv wants input channels in multiples of 4 and at least 16 output channels in
multiples of 4 (MLAS, ConvSym dispatch on x86). A first Conv of stride 1 on 3 channels misses it by one channel. The
weights of the added channels are the weight's zero point, so the integer sums are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import add_move
from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.view import Graph
from quantize.rewrites.convs import ConvWeights
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower

INPUT_CHANNELS = 4
OUTPUT_CHANNELS = 4
FEWEST_OUTPUTS = 16


def _apply(graph: Graph) -> Sequence[str]:
    return [node.name for node in graph.sorted_nodes() if _rewrite(graph, node)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    weights = [ConvWeights.of(graph, node) for node in graph.nodes if node.name in names]
    channels = {own.node.name: own.integers.shape[1] for own in weights if own is not None}
    return [f"{name} has {count} input channels" for name, count in channels.items() if count % INPUT_CHANNELS]


def _rewrite(graph: Graph, node: NodeProto) -> bool:
    weights = ConvWeights.of(graph, node)
    source = quantized_input(graph, node.input[0]) if weights is not None else None
    if source is None or source.by.axis is not None or weights is None or weights.integers.ndim != 4:
        return False
    outputs, channels, *kernel = weights.integers.shape
    missing = -channels % INPUT_CHANNELS
    if not missing or outputs < FEWEST_OUTPUTS or outputs % OUTPUT_CHANNELS:
        return False
    pads = graph.add_constant(f"{node.name}_pads", np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64))
    zero = graph.add_constant(f"{node.name}_zero", np.array(0, np.float32))
    padded = add_move(graph, "Pad", node.input[0], source.by, name=f"{node.name}_Pad", further=[pads, zero])
    wide = np.empty((outputs, channels + missing, *kernel), weights.integers.dtype)
    wide[...] = weights.zero_points
    wide[:, :channels] = weights.integers
    graph.set_input(node, 0, padded)
    weights.replace(graph, wide, "padded")
    return True


CHANNEL_PADDING = Rewrite("channel-padding", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Every quantized Conv without groups on 1 to 3 channels more than a multiple of 4."""
