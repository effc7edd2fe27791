"""A quantized tensor times one number, such as attention's scale: the same integers, on a grid of other steps.

onnxruntime multiplies and rounds every value anew; a DequantizeLinear with a scale times the number does neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import Parameters, add_dequantize, is_dequantize, new_parameters
from quantize.formats.qdq_pattern import QuantizedInput, constant_values, output_quantization, quantized_input
from quantize.graph.nodes import is_op
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower


def _apply(graph: Graph) -> Sequence[str]:
    return [node.name for node in graph.sorted_nodes() if is_op(node, "Mul", "Div") and _rewrite(graph, node)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    return [f"{node.name} multiplies still" for node in graph.nodes if node.name in names]


def _rewrite(graph: Graph, node: NodeProto) -> bool:
    values, number = node.input if node.op_type == "Div" or _number(graph, node.input[1]) else reversed(node.input)
    source, result = quantized_input(graph, values), output_quantization(graph, node.output[0])
    factor = _number(graph, number)
    if source is None or source.by.axis is not None or result is None or factor is None:
        return False
    factor = 1 / factor if node.op_type == "Div" else factor
    quantize, by = result
    readers = graph.consumers(quantize.output[0])
    # What moves integers expects the grid that they had.
    if graph.is_output(quantize.output[0]) or not all(is_dequantize(reader) for reader in readers):
        return False
    if graph.constant(source.integers) is not None or not _is_within(source, factor, by):
        return False
    scaled = new_parameters(
        graph, f"{node.name}_scaled", source.by.scale * np.float32(factor), source.by.zero_point, None
    )
    graph.remove([node, quantize, *readers])
    for reader in readers:
        add_dequantize(graph, source.integers, scaled, reader.output[0])
    return True


def _number(graph: Graph, name: str) -> float | None:
    """Return the one positive number that a constant is; None if it is not."""
    values = constant_values(graph, name)
    if values is None or values.size != 1 or values.ndim > 1 or not float(values.item()) > 0:
        return None
    return float(values.item())


def _is_within(source: QuantizedInput, factor: float, by: Parameters) -> bool:
    """Return whether the grid of the product cuts nothing off what the source's grid reaches, by more than a step."""
    return bool(source.by.low * factor >= by.low - by.scale and source.by.high * factor <= by.high + by.scale)


SCALED_GRIDS = Rewrite("scaled-grids", Declaration("rounding", 0.1), _apply, _broken, not_shown_slower)
"""Every Mul or Div of a quantized tensor by one number, between grids of the same reach: it is rounded once less."""
