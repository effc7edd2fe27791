"""Fold weights that the graph computes into stored weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.graph.nodes import RANDOM, holds_graphs
from quantize.graph.view import Graph
from quantize.models.session import open_session

_FIRST_IR_WITH_FREE_INITIALIZERS = 4


def fold_constants(graph: Graph) -> None:
    """Compute every node that reads constants only, and store its results.

    onnxruntime computes them, so the opset has to be one that it runs (7 or newer). Random operators and operators with
    subgraphs stay.

    Raises:
        ModelError: onnxruntime cannot compute one of them.
    """
    known = set(graph.constants)
    folded: list[NodeProto] = []
    for node in graph.nodes:
        computable = node.op_type not in RANDOM and not holds_graphs(node)
        if computable and all(name in known for name in node.input if name):
            folded.append(node)
            known.update(name for name in node.output if name)
    graph.remove(folded)
    made = {name for node in folded for name in node.output if name}
    needed = sorted(name for name in made if graph.consumers(name) or graph.is_output(name))
    if needed:
        for name, values in _compute(graph, folded, needed).items():
            graph.set_constant(name, values)


def _compute(graph: Graph, nodes: list[NodeProto], outputs: list[str]) -> dict[str, NDArray[Any]]:
    part = graph.part(nodes, outputs)
    part.ir_version = max(_FIRST_IR_WITH_FREE_INITIALIZERS, part.ir_version)
    values = open_session(part.SerializeToString(), optimization="none").run(outputs, {})
    return {name: np.asarray(value, order="C") for name, value in zip(outputs, values, strict=True)}
