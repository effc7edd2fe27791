"""Give every Gemm the plain form: no factors, and a bias with one number per output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.graph.nodes import attribute, is_op, take_attribute
from quantize.graph.view import Graph

_BY_ROW = 2
"""Dimensions of a bias that may differ from row to row."""


def plain_gemms(graph: Graph) -> None:
    """Fold the constant factors of Gemms into their weights and biases, and spell out biases that broadcast.

    ``alpha`` becomes part of a constant weight, ``beta`` of a constant bias; a scalar bias, or one of (1,), (1, 1) or
    (1, outputs), becomes one of (outputs,); one that differs from row to row is added behind the Gemm. What takes Gemms
    apart afterwards finds one form of them. A Gemm whose weight or bias the graph computes keeps that part of its form.
    """
    for node in list(graph.nodes):
        if is_op(node, "Gemm"):
            _fold_alpha(graph, node)
            _fold_beta(graph, node)


def _fold_alpha(graph: Graph, node: NodeProto) -> None:
    alpha, weight = float(attribute(node, "alpha", 1.0)), _floats(graph, node, 1)
    if weight is not None and alpha != 1 and np.isfinite(alpha):
        take_attribute(node, "alpha")
        _replace(graph, node, 1, weight.astype(np.float64) * alpha)


def _fold_beta(graph: Graph, node: NodeProto) -> None:
    beta, weight, bias = float(attribute(node, "beta", 1.0)), _floats(graph, node, 1), _floats(graph, node, 2)
    if weight is None or bias is None or weight.ndim != 2 or not np.isfinite(beta):
        return
    outputs = weight.shape[0 if attribute(node, "transB", 0) else 1]
    if bias.ndim == _BY_ROW and bias.shape[0] > 1:
        _add_behind(graph, node, bias.astype(np.float64) * beta)
        return
    if beta != 1 or bias.shape != (outputs,):
        take_attribute(node, "beta")
        _replace(graph, node, 2, np.broadcast_to(bias.reshape(-1).astype(np.float64) * beta, (outputs,)))


def _add_behind(graph: Graph, node: NodeProto, rows: NDArray[np.float64]) -> None:
    take_attribute(node, "beta")
    result, product = node.output[0], graph.fresh(f"{node.output[0]}_product")
    name = graph.add_constant(f"{node.input[2]}_folded", rows.astype(np.float32))
    graph.set_inputs(node, list(node.input[:2]))
    graph.set_output(node, 0, product)
    graph.add("Add", [product, name], [result], name=f"{node.name}_Add")


def _floats(graph: Graph, node: NodeProto, position: int) -> NDArray[np.float32] | None:
    values = graph.constant(node.input[position]) if position < len(node.input) else None
    return values if values is not None and values.dtype == np.float32 else None


def _replace(graph: Graph, node: NodeProto, position: int, values: NDArray[np.float64]) -> None:
    name = graph.add_constant(f"{node.input[position]}_folded", values.astype(np.float32))
    graph.set_input(node, position, name)
