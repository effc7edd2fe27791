"""Constant nodes become initializers."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from quantize.graph.nodes import attribute, is_op, replace_all

_NUMBERS = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


def store_constants(model: ModelProto) -> None:
    """Turn Constant nodes into initializers, at any opset. Changes the model in place.

    Sparse and string constants stay as they are, and so do those that are outputs of the graph.
    """
    graph = model.graph
    outputs = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in graph.node:
        tensor = _constant_value(node) if is_op(node, "Constant") else None
        if tensor is None or node.output[0] in outputs:
            kept.append(node)
        else:
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
    replace_all(graph.node, kept)


def _constant_value(node: NodeProto) -> TensorProto | None:
    (entry,) = node.attribute
    if entry.name == "value":
        tensor = TensorProto()
        tensor.CopyFrom(entry.t)
        return tensor
    if entry.name in _NUMBERS:
        return numpy_helper.from_array(np.asarray(attribute(node, entry.name), dtype=_NUMBERS[entry.name]))
    return None
