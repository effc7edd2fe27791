"""What a positive factor goes through: ``f(c x) = c f(x)`` for every channel of a Conv's output."""

from __future__ import annotations

from onnx import NodeProto

from quantize.graph.nodes import is_op

ACTIVATIONS = ("Relu", "LeakyRelu")
_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")


def is_homogeneous(node: NodeProto) -> bool:
    """Return whether a positive factor of each channel, on axis 1, goes through a node that computes one result."""
    return is_op(node, *ACTIVATIONS, *_POOLS, "Identity") and not any(node.output[1:])
