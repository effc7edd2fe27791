"""Weights that are also graph inputs, as in files of IR version 3, become weights only."""

from __future__ import annotations

from onnx import ModelProto

from quantize.graph.nodes import replace_all


def free_initializers(model: ModelProto) -> None:
    """Take the weights out of the list of graph inputs, where a caller could override them.

    Changes the model in place. It computes the same; onnxruntime may then fold and pre-pack the weights.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    weights |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    replace_all(model.graph.input, (value for value in model.graph.input if value.name not in weights))
