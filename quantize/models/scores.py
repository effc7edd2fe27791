"""Whether a classifier's scores are probabilities."""

from __future__ import annotations

from typing import Literal

from onnx import ModelProto

from quantize.graph.view import Graph

ScoreKind = Literal["softmax", "logits"]

_CARRIERS = frozenset(
    {
        "Cast",
        "DequantizeLinear",
        "Dropout",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
_SOFTMAX = frozenset({"Softmax", "QLinearSoftmax"})
_SUMS = frozenset({"ReduceSum"})


def score_kind(model: ModelProto) -> ScoreKind:
    """Return ``softmax`` where the output comes from a Softmax (one operator or Exp/ReduceSum/Div), else ``logits``.

    Operators that only move or store the values may stand between.
    """
    graph = Graph.of(model)
    node = graph.producer(graph.outputs[0]) if graph.outputs else None
    while node is not None and node.op_type in _CARRIERS:
        node = graph.producer(node.input[0])
    if node is None:
        return "logits"
    if node.op_type in _SOFTMAX:
        return "softmax"
    if node.op_type == "Div":
        divisor = graph.producer(node.input[1])
        if divisor is not None and divisor.op_type in _SUMS and divisor.input[0] == node.input[0]:
            return "softmax"
    return "logits"
