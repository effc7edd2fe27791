"""Lower opset 13 to 12, in which QLinear models are written: the changes that matter to classifiers.

Softmax and its kin reduce one axis instead of all trailing ones; Squeeze, Unsqueeze, ReduceSum and Split take their
attribute as an input; DequantizeLinear has an axis; Resize may leave inputs out. ``after_seven`` goes the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto

from quantize.errors import ModelError
from quantize.graph.nodes import LINEAR, MICROSOFT, NORMALIZING, attribute, attributes, is_op, take_attribute
from quantize.graph.shapes import Shape
from quantize.graph.view import Graph

PER_AXIS_SOFTMAX = 13
AXES_AS_INPUT = {"Squeeze": "axes", "Unsqueeze": "axes", "ReduceSum": "axes", "Split": "split"}


def lower_to_12(graph: Graph) -> None:
    """Lower a graph of opset 13 to 12.

    Raises:
        ModelError: A node has no form at opset 12.
    """
    normalizing = [node for node in graph.nodes if is_op(node, *NORMALIZING)]
    shapes = graph.shapes() if normalizing else {}
    graph.opset = 12
    for node in list(graph.nodes):
        name = AXES_AS_INPUT.get(node.op_type) if is_op(node, node.op_type) else None
        if name and len(node.input) > 1 and node.input[1]:
            values = graph.constant(node.input[1])
            if values is None:
                raise ModelError(
                    f"{node.op_type} computes its {name}, which opset 12 cannot express",
                    where=node.name or node.output[0],
                    advice="keep the model at opset 13",
                )
            _replace(graph, node, list(node.input[:1]), {**attributes(node), name: [int(v) for v in values.ravel()]})
        elif is_op(node, *LINEAR):
            _without_axis(graph, node)
        elif is_op(node, "Resize"):
            _without_gaps(graph, node)
    for node in normalizing:
        # It keeps the shape, and scores declare theirs where nothing before tells it.
        _trailing_axes(graph, node, shapes.get(node.input[0]) or shapes.get(node.output[0]))


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
    else:
        take_attribute(node, "axis")


def _without_gaps(graph: Graph, node: NodeProto) -> None:
    """Give a Resize empty tensors for the region and the scales, which it may leave out only from opset 13 on."""
    for position, name in enumerate(node.input[:3]):
        if not name:
            empty = graph.add_constant(f"{node.output[0]}_empty", np.zeros(0, np.float32))
            graph.set_input(node, position, empty)


def _trailing_axes(graph: Graph, node: NodeProto, shape: Shape | None) -> None:
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
