"""A float GlobalAveragePool of a quantized tensor, replaced by an integer product with ones.

onnxruntime turns the tensor to channels first, dequantizes it and averages floats. The product of a row of ones with
the pixels, channels last as they lie in memory, is the sum of the integers: exact, and one pass. Its scale takes the
division by the number of pixels. Scores move by float32 rounding of the average (one rounding instead of many).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, add_move, is_quantize, new_parameters
from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.nodes import is_op
from quantize.graph.shapes import Shape, fixed_sizes
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower


def _apply(graph: Graph) -> Sequence[str]:
    nodes = [node for node in graph.sorted_nodes() if is_op(node, "GlobalAveragePool")]
    shapes = graph.shapes() if nodes else {}
    return [node.name for node in nodes if _rewrite(graph, node, shapes.get(node.input[0]))]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    nodes = [node for node in graph.nodes if node.name in names]
    return [f"{node.name} is not a product" for node in nodes if node.op_type != "MatMul"]


def _rewrite(graph: Graph, node: NodeProto, shape: Shape | None) -> bool:
    source = quantized_input(graph, node.input[0])
    if source is None or source.by.axis is not None or source.by.zero_point.dtype != np.uint8:
        return False
    sizes = fixed_sizes(shape[1:]) if shape is not None and len(shape) == 4 else None
    if sizes is None:
        return False
    if any(is_quantize(reader) for reader in graph.consumers(node.output[0])):
        return False
    channels, height, width = sizes
    pixels = height * width
    rows = graph.add_constant(f"{node.name}_rows", np.array([0, pixels, channels], np.int64))
    last = add_move(graph, "Transpose", node.input[0], source.by, name=f"{node.name}_last", perm=[0, 2, 3, 1])
    flat = add_move(graph, "Reshape", last, source.by, name=f"{node.name}_flat", further=[rows])
    share = new_parameters(graph, f"{node.name}_share", 1.0 / pixels, np.array(0, np.uint8), None)
    ones = add_dequantize(graph, graph.add_constant(f"{node.name}_ones", np.ones((1, pixels), np.uint8)), share)
    mean, target = (
        graph.fresh(f"{node.name}_mean"),
        graph.add_constant(f"{node.name}_shape", np.array([0, channels, 1, 1])),
    )
    graph.remove([node])
    graph.add("MatMul", [ones, flat], [mean], name=node.name)
    graph.add("Reshape", [mean, target], list(node.output), name=f"{node.name}_Reshape")
    return True


MEAN_AS_PRODUCT = Rewrite("mean-as-product", Declaration("rounding", 1e-5), _apply, _broken, not_shown_slower)
"""Every GlobalAveragePool with a quantized uint8 input of fixed size (H, W) and a float output."""
