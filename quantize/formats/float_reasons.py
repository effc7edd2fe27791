"""Which nodes of an fp32 graph can compute on integers in this onnxruntime, and why the others cannot.

Nothing here is a list of operators: each node is put between DequantizeLinear and QuantizeLinear, converted to its
integer form by the same code that writes models, and opened in a session of the onnxruntime that is installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, TypeProto

from quantize.formats.integer_probe import Operand, integer_form, is_data
from quantize.graph.nodes import WEIGHTED, holds_graphs, is_op
from quantize.graph.shapes import inferred_types
from quantize.graph.view import Graph
from quantize.grid.grid import can_be_held

Kind = Literal["body", "operator", "kernel", "form", "engine", "statistics"]

_IN_WORDS: Mapping[Kind, str] = {
    "body": "quantizers do not look into nodes with graphs of their own",
    "operator": "no integer form of the operator",
    "kernel": "this onnxruntime has no integer kernel for it",
    "form": "no integer form for these inputs and attributes",
    "engine": "no quantizer takes the operator",
    "statistics": "no grid holds one of its tensors: no values were seen, or infinite ones, or only some next to 0",
}

_BOUNDED = ("Softmax", "Sigmoid", "HardSigmoid", "Tanh", "Clip", "Erf", "Shape", "IsInf", "IsNaN", "ArgMax")
"""What gives finite numbers for infinite ones, or none that are computed with."""


@dataclass(frozen=True)
class FloatReason:
    """Why a node stays in float.

    Attributes:
        node: The node's name.
        op_type: Its type, with the domain before it outside of the default one.
        kind: ``body``: it holds a graph; ``operator``: there is no integer operator; ``kernel``: onnxruntime has no
            kernel for that; ``form``: none for these inputs and attributes; ``engine``: it could, but is not of the
            types that are quantized; ``statistics``: no calibration pass saw a tensor of it.
        detail: What is missing, such as the tensor or the integer operator; "" where the kind says it all.
    """

    node: str
    op_type: str
    kind: Kind
    detail: str = ""

    @property
    def in_words(self) -> str:
        """Return the reason as part of a sentence."""
        return _IN_WORDS[self.kind] + (f" ({self.detail})" if self.detail else "")


def float_reasons(
    model: ModelProto,
    op_types: Collection[str],
    *,
    activation_type: str = "uint8",
    weight_type: str = "int8",
    known: Collection[str] | None = None,
) -> dict[str, FloatReason]:
    """Return the nodes that take and give floats and have to stay in float, by name, with the reason of each.

    Args:
        model: A prepared fp32 graph: every node has a name, weights are initializers.
        op_types: The op types that an engine quantizes.
        activation_type: Of quantized activations, ``uint8`` or ``int8``.
        weight_type: Of quantized weights.
        known: The tensors that there are statistics of; None where that is not asked.
    """
    graph, types = Graph.of(model), inferred_types(model)
    infinite = _infinite(graph) if known is None else frozenset()
    reasons: dict[str, FloatReason] = {}
    for node in _computing(graph, types):
        name = type_of(node)
        if holds_graphs(node):
            reasons[node.name] = FloatReason(node.name, name, "body")
            continue
        floats = [name for name in node.input if _is_float(graph, types, name)]
        results = [name for name in node.output if name and _is_float(graph, types, name)]
        found = _reason(graph, types, node, op_types, activation_type, weight_type)
        if found is None and known is not None:
            missing = [name for name in (*floats, *results) if graph.constant(name) is None and name not in known]
            found = ("statistics", missing[0]) if missing else None
        if found is None and (reached := [name for name in node.input if name in infinite]):
            found = ("form", f"{reached[0]} may be infinite")
        if found is not None:
            reasons[node.name] = FloatReason(node.name, name, *found)
    return reasons


def computing_nodes(model: ModelProto) -> list[NodeProto]:
    """Return the nodes that take and give floats, and those with graphs of their own, in the graph's order."""
    return list(_computing(Graph.of(model), inferred_types(model)))


def type_of(node: NodeProto) -> str:
    """Return a node's type, with the domain before it outside of the default one."""
    return node.op_type if not node.domain or is_op(node, node.op_type) else f"{node.domain}:{node.op_type}"


def sentences(reasons: Mapping[str, FloatReason]) -> list[str]:
    """Return a sentence for the nodes of each type and reason, such as ``1 Erf stays in float: no integer form``."""
    groups = Counter((reason.op_type, reason.in_words) for reason in reasons.values())
    return [
        f"{count} {op_type} {'stay' if count > 1 else 'stays'} in float: {words}"
        for (op_type, words), count in groups.items()
    ]


def _reason(
    graph: Graph,
    types: Mapping[str, TypeProto],
    node: NodeProto,
    op_types: Collection[str],
    activation_type: str,
    weight_type: str,
) -> tuple[Kind, str] | None:
    if not is_op(node, node.op_type):
        return "operator", ""
    if not is_op(node, *WEIGHTED) and not all(_is_finite(graph, name) for name in node.input):
        return "form", "a constant is not finite"
    operands = tuple(_operand(graph, types, name) for name in node.input)
    for at, (name, operand) in enumerate(zip(node.input, operands, strict=True)):
        if operand is not None and is_data(node, at, operand) and not _has_grid(graph, name):
            return "form", f"{name} is too near to 0 for a grid"
    results = tuple(bool(name) and _is_float(graph, types, name) for name in node.output)
    found = integer_form(node, operands, results, graph.opset, activation_type, weight_type)
    return ("engine", "") if found is None and node.op_type not in op_types else found


def _infinite(graph: Graph) -> frozenset[str]:
    """Return the tensors that a constant which is not finite, such as a mask's, may reach: no grid holds them.

    It ends at what is bounded whatever it takes, such as a Softmax.
    """
    reached: set[str] = set()
    for node in graph.sorted_nodes():
        if is_op(node, *WEIGHTED, *_BOUNDED):
            continue
        if any(name in reached or not _is_finite(graph, name) for name in node.input):
            reached.update(node.output)
    return frozenset(reached)


def _operand(graph: Graph, types: Mapping[str, TypeProto], name: str) -> Operand | None:
    if not name:
        return None
    constant = graph.constant(name)
    if constant is not None:
        return Operand.of_constant(constant)
    kind = types.get(name, TypeProto()).tensor_type
    rank = len(kind.shape.dim) if kind.HasField("shape") else None
    return Operand(kind.elem_type or TensorProto.FLOAT, rank)


def _is_finite(graph: Graph, name: str) -> bool:
    values = graph.constant(name)
    return values is None or values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _computing(graph: Graph, types: Mapping[str, TypeProto]) -> Iterator[NodeProto]:
    for node in graph.nodes:
        takes = any(_is_float(graph, types, name) and graph.constant(name) is None for name in node.input)
        gives = any(name and _is_float(graph, types, name) for name in node.output)
        if (takes and gives) or holds_graphs(node):
            yield node


def _has_grid(graph: Graph, name: str) -> bool:
    values = graph.constant(name)
    if values is None:
        return True
    magnitude = float(np.abs(values).max(initial=0.0))
    return not np.isfinite(magnitude) or can_be_held(magnitude)  # of weights that are NaN others tell


def _is_float(graph: Graph, types: Mapping[str, TypeProto], name: str) -> bool:
    tensor = graph.tensor(name)
    if tensor is not None:
        return bool(tensor.data_type == TensorProto.FLOAT)
    return name in types and bool(types[name].tensor_type.elem_type == TensorProto.FLOAT)
