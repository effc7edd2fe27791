"""The multiply-adds of the products that ran."""

from __future__ import annotations

import math
from collections.abc import Sequence

from onnx import ModelProto, NodeProto

from quantize.graph.nodes import WEIGHTED, attribute
from quantize.graph.shapes import inferred_shapes
from quantize.measurement.operators.trace import NodeTrace


def multiply_adds(model: ModelProto, nodes: Sequence[NodeTrace], origins: Sequence[str | None]) -> dict[str, int]:
    """Return the multiply-adds of one run by node name, of convolutions and matrix products.

    The sizes of the results are those that ran, so that models whose shapes cannot be inferred are counted too; the
    channels are the weights', because onnxruntime pads them.

    Args:
        model: The fp32 model, its nodes named.
        nodes: As a session of this model ran them.
        origins: For each, the name of the model's node.

    Returns:
        Node name to count; nodes whose weights' shape is not known are left out.
    """
    shapes = inferred_shapes(model)
    named = {node.name: node for node in model.graph.node if node.op_type in WEIGHTED}
    counts = {}
    for trace, origin in zip(nodes, origins, strict=True):
        if origin is None or origin not in named:
            continue
        weight = shapes.get(named[origin].input[1])
        sizes = [size for size in weight or () if isinstance(size, int)]
        if weight and len(sizes) == len(weight) and trace.outputs and trace.inputs:
            counts[origin] = _count(named[origin], sizes, trace)
    return counts


def _count(node: NodeProto, weight: Sequence[int], trace: NodeTrace) -> int:
    data, result = trace.inputs[0][1], trace.outputs[0][1]
    if node.op_type == "Conv":
        return result[0] * math.prod(result[2:]) * math.prod(weight)
    if node.op_type == "ConvTranspose":
        return data[0] * math.prod(data[2:]) * math.prod(weight)
    if node.op_type == "Gemm":
        return math.prod(result) * weight[1 if attribute(node, "transB", 0) else 0]
    return math.prod(result) * weight[-2 if len(weight) > 1 else 0]
