"""Let a mean over height and width be the pool that it is: a form that has an integer operator, and is faster."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from quantize.graph.nodes import attribute, is_op
from quantize.graph.view import Graph


def means_as_pools(graph: Graph) -> None:
    """Replace every ReduceMean of an image (N, C, H, W) over H and W by GlobalAveragePool.

    PyTorch exports ``x.mean((2, 3))`` so, and with it the squeeze of EfficientNet. Without ``keepdims`` a Flatten
    follows. Both average the same numbers.
    """
    nodes = [node for node in graph.nodes if _is_over_two(graph, node)]
    shapes = graph.shapes() if nodes else {}
    for node in nodes:
        shape = shapes.get(node.input[0])
        if shape is None or len(shape) != 4:
            continue
        keeps = attribute(node, "keepdims", 1)
        output = node.output[0]
        graph.remove([node])
        pooled = output if keeps else graph.fresh(f"{output}_pooled")
        pool = graph.add("GlobalAveragePool", [node.input[0]], [pooled], name=node.name)
        pool.name = node.name  # recipes and profiles know it by this
        if not keeps:
            graph.add("Flatten", [pooled], [output], name=f"{node.name}_Flatten", axis=1)


def has_means(graph: Graph) -> bool:
    """Return whether there is a mean over the third and fourth axis."""
    return any(_is_over_two(graph, node) for node in graph.nodes)


def _is_over_two(graph: Graph, node: NodeProto) -> bool:
    if not is_op(node, "ReduceMean"):
        return False
    axes = attribute(node, "axes")
    if axes is None and len(node.input) > 1 and node.input[1]:
        values = graph.constant(node.input[1])
        axes = None if values is None else np.asarray(values).reshape(-1).tolist()
    return axes is not None and sorted(int(axis) % 4 for axis in axes) == [2, 3] and max(axes) < 4 and min(axes) >= -4
