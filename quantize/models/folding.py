"""Weights that the graph computes become stored weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from quantize.graph.constants import store_constants
from quantize.graph.nodes import reads, replace_all, subgraphs
from quantize.models.session import open_session

_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
_FIRST_IR_WITH_FREE_INITIALIZERS = 4


def fold_constants(model: ModelProto) -> None:
    """Compute every node that reads constants only, and store its results. Changes the model in place.

    onnxruntime computes them, so the opset has to be one that it runs (7 or newer). Random operators and operators with
    subgraphs stay.

    Raises:
        ModelError: onnxruntime cannot compute one of them.
    """
    store_constants(model)
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer}
    folded: list[NodeProto] = []
    kept: list[NodeProto] = []
    for node in graph.node:
        computable = node.op_type not in _RANDOM and not any(True for _ in subgraphs(node))
        if computable and all(name in known for name in node.input if name):
            folded.append(node)
            known.update(name for name in node.output if name)
        else:
            kept.append(node)
    made = {name for node in folded for name in node.output if name}
    needed = made & ({name for node in kept for name in reads(node)} | {value.name for value in graph.output})
    if needed:
        results = _compute(model, folded, sorted(needed))
        graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in results.items())
    replace_all(graph.node, kept)


def _compute(model: ModelProto, nodes: list[NodeProto], outputs: list[str]) -> dict[str, NDArray[Any]]:
    read = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in read]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "constants", [], results, constants)
    ir_version = max(_FIRST_IR_WITH_FREE_INITIALIZERS, model.ir_version)
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=ir_version)
    session = open_session(part.SerializeToString(), optimization="none")
    values = session.run(outputs, {})
    return {name: np.asarray(value, order="C") for name, value in zip(outputs, values, strict=True)}
