"""Output channels of a Conv padded with zeros to what onnxruntime's fast path takes.

That is 16 at least, in multiples of 4 (MLAS, ConvSym dispatch on x86): a Conv with 8 or 10 outputs is slower than one
with 16. The added channels are zero, and the Convs that read them have weights of zero for them: the integer sums are
the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.formats.parameters import Parameters, add_dequantize, is_dequantize, new_parameters
from quantize.formats.qdq_pattern import QuantizedInput, output_quantization, quantized_input
from quantize.graph.nodes import attribute
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower

FEWEST = 16
MULTIPLE = 4


@dataclass(frozen=True)
class _Weight:
    """A quantized Conv without groups, and its weight."""

    node: NodeProto
    found: QuantizedInput
    values: NDArray[Any]

    @classmethod
    def of(cls, graph: Graph, node: NodeProto) -> _Weight | None:
        """Return the weight of a node that is such a Conv."""
        if node.op_type != "Conv" or node.domain or attribute(node, "group", 1) != 1:
            return None
        found = quantized_input(graph, node.input[1])
        values = graph.constant(found.integers) if found is not None else None
        if found is None or values is None or found.by.axis not in (None, 0) or found.by.zero_point.any():
            return None
        return cls(node, found, values)

    @property
    def outputs(self) -> int:
        """Return the number of output channels."""
        return int(self.values.shape[0])


def _apply(graph: Graph) -> Sequence[str]:
    convs = [node for node in graph.sorted_nodes() if node.op_type == "Conv"]
    return [node.name for node in convs if _rewrite(graph, node)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    weights = [_Weight.of(graph, node) for node in graph.nodes if node.name in names]
    return [f"{one.node.name} has {one.outputs} outputs" for one in weights if one and _missing(one.outputs)]


def _missing(outputs: int) -> int:
    return max(FEWEST, -(-outputs // MULTIPLE) * MULTIPLE) - outputs


def _rewrite(graph: Graph, node: NodeProto) -> bool:
    weight = _Weight.of(graph, node)
    missing = _missing(weight.outputs) if weight is not None else 0
    bias = quantized_input(graph, node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if weight is None or not missing or (bias is None and len(node.input) > 2 and node.input[2]):
        return False
    readers = _readers(graph, node)
    if not readers:
        return False
    _widen(graph, node, 1, weight.found, missing)
    if bias is not None:
        _widen(graph, node, 2, bias, missing)
    for reader in readers:
        pads = [(0, 0), (0, missing)] + [(0, 0)] * (reader.values.ndim - 2)
        integers = graph.add_constant(f"{reader.found.integers}_wide", np.pad(reader.values, pads))
        graph.set_input(reader.node, 1, add_dequantize(graph, integers, reader.found.by))
    return True


def _readers(graph: Graph, node: NodeProto) -> list[_Weight]:
    """Return the Convs that read a Conv's quantized output; none where anything else does."""
    quantized = output_quantization(graph, node.output[0])
    if quantized is None or graph.is_output(quantized[0].output[0]):
        return []
    found = []
    for dequantize in graph.consumers(quantized[0].output[0]):
        if not is_dequantize(dequantize) or graph.is_output(dequantize.output[0]):
            return []
        found += [_Weight.of(graph, reader) for reader in graph.consumers(dequantize.output[0])]
    return [one for one in found if one is not None] if all(one is not None for one in found) else []


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
