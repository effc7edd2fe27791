"""Between operator sets 12 and 13, the border between the two formats.

Only what changed there and appears in classifiers: Softmax and its kin reduce one axis instead of all trailing ones;
Squeeze, Unsqueeze, ReduceSum and Split take their attribute as an input; DequantizeLinear has an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from quantize.errors import ModelError
from quantize.graph.view import MICROSOFT, Graph, attribute, attributes

PER_AXIS_SOFTMAX = 13
AXES_AS_INPUT = {"Squeeze": "axes", "Unsqueeze": "axes", "ReduceSum": "axes", "Split": "split"}
NORMALIZING = ("Softmax", "LogSoftmax", "Hardmax")
LINEAR = ("QuantizeLinear", "DequantizeLinear")


def raise_to_13(graph: Graph) -> None:
    """Raise a graph of opset 12 (or 10 and 11, where nothing else differs) to 13."""
    if graph.opset >= PER_AXIS_SOFTMAX:
        return
    graph.opset = PER_AXIS_SOFTMAX
    for node in list(graph.nodes):
        name = AXES_AS_INPUT.get(node.op_type) if not node.domain else None
        values = attribute(node, name) if name else None
        if name and values is not None:
            axes = graph.add_constant(f"{node.output[0]}_{name}", np.array(values, np.int64))
            _replace(graph, node, [*node.input, axes], attributes(node, without=[name]))
    normalizing = [node for node in graph.nodes if not node.domain and node.op_type in NORMALIZING]
    shapes = infer_shapes(graph.model()) if normalizing else {}
    for node in normalizing:
        _one_axis(graph, node, shapes.get(node.input[0]))


def lower_to_12(graph: Graph) -> None:
    """Lower a graph of opset 13 to 12.

    Raises:
        ModelError: A node has no form at opset 12.
    """
    normalizing = [node for node in graph.nodes if not node.domain and node.op_type in NORMALIZING]
    shapes = infer_shapes(graph.model()) if normalizing else {}
    graph.opset = 12
    for node in list(graph.nodes):
        name = AXES_AS_INPUT.get(node.op_type) if not node.domain else None
        if name and len(node.input) > 1 and node.input[1]:
            values = graph.constant(node.input[1])
            if values is None:
                raise ModelError(
                    f"{node.op_type} computes its {name}, which opset 12 cannot express",
                    where=node.name or node.output[0],
                    advice="keep the model at opset 13",
                )
            _replace(graph, node, list(node.input[:1]), {**attributes(node), name: [int(v) for v in values.ravel()]})
        elif not node.domain and node.op_type in LINEAR:
            _without_axis(graph, node)
    for node in normalizing:
        _trailing_axes(graph, node, shapes.get(node.input[0]))


def infer_shapes(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes that ONNX infers, by tensor; None for a dimension that is not a number."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        value.name: tuple(d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }


def _replace(graph: Graph, node: NodeProto, inputs: Sequence[str], kept: dict[str, Any]) -> None:
    graph.remove([node])
    graph.add(node.op_type, inputs, list(node.output), name=node.name, **kept)


def _without_axis(graph: Graph, node: NodeProto) -> None:
    """Give a QuantizeLinear or DequantizeLinear, which know no axis before opset 13, a form without it.

    One scale for the whole tensor needs no axis; by channel, onnxruntime's own operator has one at every opset.
    """
    scale = graph.constant(node.input[1])
    if scale is None or scale.size > 1:
        node.domain = MICROSOFT
        return
    for entry in [entry for entry in node.attribute if entry.name == "axis"]:
        node.attribute.remove(entry)


def _one_axis(graph: Graph, node: NodeProto, shape: tuple[int | None, ...] | None) -> None:
    """Rewrite a node that normalizes all axes from ``axis`` on to the one axis among them that is longer than 1."""
    axis = attribute(node, "axis", 1)
    if shape is None:
        raise ModelError(
            f"the shape that {node.op_type} normalizes is not known, so opset 13 cannot express it",
            where=node.name or node.output[0],
            advice="give the model a fixed input size",
        )
    axis += len(shape) if axis < 0 else 0
    long = [at for at in range(axis, len(shape)) if shape[at] != 1]
    if len(long) <= 1:
        _replace(graph, node, node.input, {"axis": long[0] if long else axis})
        return
    flat, normal = graph.fresh(f"{node.output[0]}_flat"), graph.fresh(f"{node.output[0]}_normal")
    graph.remove([node])
    size = graph.fresh(f"{node.output[0]}_shape")
    graph.add("Shape", [node.input[0]], [size], name=f"{node.name}_Shape")
    graph.add("Flatten", [node.input[0]], [flat], name=f"{node.name}_Flatten", axis=axis)
    graph.add(node.op_type, [flat], [normal], name=node.name, axis=1)
    graph.add("Reshape", [normal, size], list(node.output), name=f"{node.name}_Reshape")


def _trailing_axes(graph: Graph, node: NodeProto, shape: tuple[int | None, ...] | None) -> None:
    """Rewrite a node that normalizes one axis for the semantics that normalize all axes from ``axis`` on."""
    axis = attribute(node, "axis", -1)
    if axis == -1 and shape is None:
        _replace(graph, node, node.input, {"axis": -1})
        return
    if shape is None:
        raise ModelError(
            f"the shape that {node.op_type} normalizes is not known, so opset 12 cannot express it",
            where=node.name or node.output[0],
            advice="keep the model at opset 13",
        )
    axis += len(shape) if axis < 0 else 0
    if all(size == 1 for size in shape[axis + 1 :]):
        _replace(graph, node, node.input, {"axis": axis})
        return
    last = len(shape) - 1
    swap = [last if at == axis else axis if at == last else at for at in range(len(shape))]
    turned, normal = graph.fresh(f"{node.output[0]}_turned"), graph.fresh(f"{node.output[0]}_normal")
    graph.remove([node])
    graph.add("Transpose", [node.input[0]], [turned], name=f"{node.name}_Transpose", perm=swap)
    graph.add(node.op_type, [turned], [normal], name=node.name, axis=last)
    graph.add("Transpose", [normal], list(node.output), name=f"{node.name}_Transpose", perm=swap)
