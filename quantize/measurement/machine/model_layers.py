"""The convolutions and matrix products of an fp32 model, read from the file alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto, NodeProto

from quantize.graph.nodes import MATRIX_PRODUCTS, WEIGHTED, attribute
from quantize.graph.shapes import inferred_shapes
from quantize.measurement.machine.layer_shapes import (
    ConvShape,
    GemmShape,
    LayerForm,
    LayerKind,
    Shape,
    conv_kind,
)


@dataclass(frozen=True)
class ModelLayer:
    """A product of a model.

    Attributes:
        name: The node's name, or its result's where it has none.
        kind: What kind of layer it is.
        multiply_adds: Of one image.
        shape: Its shape; None if it is of a form that is not measured alone (one-dimensional, transposed, grouped
            otherwise than depthwise, weights that are no constant).
    """

    name: str
    kind: LayerKind
    multiply_adds: int
    shape: Shape | None


def model_layers(model: ModelProto) -> tuple[ModelLayer, ...]:
    """Return the convolutions and matrix products of a model for one image; those of unknown shape are left out."""
    shapes = inferred_shapes(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    layers = []
    for node in model.graph.node:
        if node.op_type in WEIGHTED and not node.domain:
            sizes = [_sizes(shapes.get(name)) for name in (node.input[0], node.input[1], node.output[0])]
            layer = _layer(node, *sizes, constant=node.input[1] in constants)
            if layer is not None:
                layers.append(layer)
    return tuple(layers)


def layer_forms(model: ModelProto) -> dict[str, LayerForm]:
    """Return what the weights of each product tell of it, by node name; those of unknown weights are left out.

    Args:
        model: The fp32 model, its nodes named.
    """
    shapes = inferred_shapes(model)
    forms: dict[str, LayerForm] = {}
    for node in model.graph.node:
        if node.op_type not in WEIGHTED or node.domain:
            continue
        weight = _sizes(shapes.get(node.input[1]))
        if node.op_type in MATRIX_PRODUCTS:
            forms[node.name] = LayerForm("gemm")
        elif weight is not None and node.op_type == "ConvTranspose":
            forms[node.name] = LayerForm("spatial")
        elif weight is not None:
            forms[node.name] = LayerForm(conv_kind(weight[1], weight[2:], attribute(node, "group", 1)), weight[1])
    return forms


def _layer(
    node: NodeProto,
    data: tuple[int, ...] | None,
    weight: tuple[int, ...] | None,
    result: tuple[int, ...] | None,
    *,
    constant: bool,
) -> ModelLayer | None:
    if data is None or weight is None or result is None:
        return None
    name = node.name or node.output[0]
    if node.op_type == "Conv":
        group = attribute(node, "group", 1)
        kind = conv_kind(weight[1], weight[2:], group)
        shape = _conv_shape(node, data, weight, result) if constant and (group == 1 or kind == "depthwise") else None
        return ModelLayer(name, kind, math.prod(result[2:]) * math.prod(weight), shape)
    if node.op_type == "ConvTranspose":
        return ModelLayer(name, "spatial", math.prod(data[2:]) * math.prod(weight), None)
    if node.op_type == "Gemm" and attribute(node, "transB", 0):
        weight = weight[::-1]
    inputs = weight[-2] if len(weight) > 1 else weight[0]
    outputs = weight[-1] if len(weight) > 1 else 1
    rows = math.prod(result[1:]) // outputs
    whole = constant and len(weight) == 2 and not attribute(node, "transA", 0)
    return ModelLayer(name, "gemm", rows * inputs * outputs, GemmShape(rows, inputs, outputs) if whole else None)


def _conv_shape(
    node: NodeProto, data: tuple[int, ...], weight: tuple[int, ...], result: tuple[int, ...]
) -> ConvShape | None:
    if len(weight) != 4:
        return None
    strides = _pair(attribute(node, "strides", [1, 1]))
    dilations = _pair(attribute(node, "dilations", [1, 1]))
    pads = tuple(attribute(node, "pads", [0, 0, 0, 0]))
    automatic = attribute(node, "auto_pad", "NOTSET")
    if automatic.startswith("SAME"):
        ends = []
        for axis in (0, 1):
            span = (weight[2 + axis] - 1) * dilations[axis] + 1
            total = max(0, (result[2 + axis] - 1) * strides[axis] + span - data[2 + axis])
            small, large = total // 2, total - total // 2
            ends.append((small, large) if automatic == "SAME_UPPER" else (large, small))
        pads = (ends[0][0], ends[1][0], ends[0][1], ends[1][1])
    top, left, bottom, right = pads
    return ConvShape(
        inputs=data[1],
        outputs=weight[0],
        kernel=_pair(weight[2:]),
        size=_pair(data[2:]),
        strides=strides,
        pads=(top, left, bottom, right),
        dilations=dilations,
        group=attribute(node, "group", 1),
    )


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _sizes(shape: tuple[int | str | None, ...] | None) -> tuple[int, ...] | None:
    """Return a shape's sizes with 1 for the batch, or None if another one is not known."""
    if shape is None:
        return None
    sizes = [size if isinstance(size, int) else 1 if place == 0 else None for place, size in enumerate(shape)]
    known = [size for size in sizes if size is not None]
    return tuple(known) if known and len(known) == len(sizes) else None
