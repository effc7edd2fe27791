"""Pad the output channels of a Conv with zeros for onnxruntime's fast path.

That is 16 at least, in multiples of 4 (MLAS, ConvSym dispatch on x86): a Conv with 8 or 10 outputs is slower than one
with 16. The added channels are zero, and the Convs that read them have weights of zero for them: the integer sums are
the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import Parameters, add_dequantize, is_dequantize, new_parameters
from quantize.formats.qdq_pattern import QuantizedInput, output_quantization, quantized_input
from quantize.graph.view import Graph
from quantize.rewrites.convs import ConvWeights
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower

FEWEST = 16
MULTIPLE = 4


def _apply(graph: Graph) -> Sequence[str]:
    return [node.name for node in graph.sorted_nodes() if _rewrite(graph, node)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    weights = [_weights(graph, node) for node in graph.nodes if node.name in names]
    outputs = {own.node.name: len(own.integers) for own in weights if own is not None}
    return [f"{name} has {count} outputs" for name, count in outputs.items() if _missing(count)]


def _weights(graph: Graph, node: NodeProto) -> ConvWeights | None:
    weights = ConvWeights.of(graph, node)
    return weights if weights is not None and not weights.source.by.zero_point.any() else None


def _missing(outputs: int) -> int:
    return max(FEWEST, -(-outputs // MULTIPLE) * MULTIPLE) - outputs


def _rewrite(graph: Graph, node: NodeProto) -> bool:
    weights = _weights(graph, node)
    missing = _missing(len(weights.integers)) if weights is not None else 0
    if weights is None or not missing:
        return False
    has_bias = len(node.input) > 2 and node.input[2] != ""
    bias = quantized_input(graph, node.input[2]) if has_bias else None
    readers = _readers(graph, node) if bias is not None or not has_bias else []
    if not readers:
        return False
    _widen(graph, node, 1, weights.source, missing)
    if bias is not None:
        _widen(graph, node, 2, bias, missing)
    for reader in readers:
        pads = [(0, 0), (0, missing)] + [(0, 0)] * (reader.integers.ndim - 2)
        reader.replace(graph, np.pad(reader.integers, pads), "wide")
    return True


def _readers(graph: Graph, node: NodeProto) -> list[ConvWeights]:
    """Return the Convs that read a Conv's quantized output; none where anything else does."""
    quantized = output_quantization(graph, node.output[0])
    if quantized is None or graph.is_output(quantized[0].output[0]):
        return []
    convs: list[ConvWeights] = []
    for dequantize in graph.consumers(quantized[0].output[0]):
        if not is_dequantize(dequantize) or graph.is_output(dequantize.output[0]):
            return []
        readers = [_weights(graph, reader) for reader in graph.consumers(dequantize.output[0])]
        if None in readers:
            return []
        convs += [reader for reader in readers if reader is not None]
    return convs


def _widen(graph: Graph, node: NodeProto, position: int, old: QuantizedInput, missing: int) -> None:
    """Add zero channels to a constant of a node, with scales of their own where it has one a channel."""
    values = graph.constant(old.integers)
    assert values is not None
    pads = [(0, missing)] + [(0, 0)] * (values.ndim - 1)
    integers = graph.add_constant(f"{old.integers}_wide", np.pad(values, pads))
    graph.set_input(node, position, add_dequantize(graph, integers, _wider(graph, old.by, missing)))


def _wider(graph: Graph, by: Parameters, missing: int) -> Parameters:
    if by.axis is None:
        return by
    scale, zero_point = np.pad(by.scale, (0, missing), mode="edge"), np.pad(by.zero_point, (0, missing))
    return new_parameters(graph, f"{by.scale_name}_wide", scale, zero_point, by.axis)


OUTPUT_PADDING = Rewrite("output-padding", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Every quantized Conv without groups, of fewer than 16 outputs or not in fours, that only such Convs read."""
