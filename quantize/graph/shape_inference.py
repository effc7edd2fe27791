"""Shapes of the tensors between nodes, inferred without copying the weights."""

from __future__ import annotations

import math

from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper, shape_inference

Shape = tuple[int | str | None, ...]
"""One entry a dimension: its size, its symbol, or None where nothing is known."""

_SMALL = 1024


def inferred_shapes(model: ModelProto) -> dict[str, Shape]:
    """Return the shapes of the main graph's tensors by name, as far as they can be inferred.

    Of the constants, only small ones, which may themselves be shapes, are looked at. What is declared of the outputs
    counts where nothing can be inferred.
    """
    graph = shape_inference.infer_shapes(_without_weights(model), data_prop=True).graph
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = declared_shape(value)
        if shape is not None:
            shapes[value.name] = shape
    for value in model.graph.output:
        declared, found = declared_shape(value), shapes.get(value.name)
        if declared is not None:
            found = found if found and len(found) == len(declared) else (None,) * len(declared)
            shapes[value.name] = tuple(d if f is None else f for d, f in zip(declared, found, strict=True))
    return shapes


def declared_shape(value: ValueInfoProto) -> Shape | None:
    """Return the shape that a value is declared with, or None where it is no tensor or has none."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dimensions = value.type.tensor_type.shape.dim
    return tuple(
        (int(d.dim_value) if d.dim_value > 0 else None) if d.HasField("dim_value") else d.dim_param or None
        for d in dimensions
    )


def _without_weights(model: ModelProto) -> ModelProto:
    source = model.graph
    graph = GraphProto(name=source.name)
    for field in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(graph, field).extend(getattr(source, field))
    named = {value.name for value in source.input}
    for tensor in source.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in named:
            graph.input.append(_declaration(tensor))
    bare = ModelProto(ir_version=model.ir_version)
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    bare.graph.CopyFrom(graph)
    for value in bare.graph.output:
        # What follows from the input counts; exporters write other symbols here.
        value.type.tensor_type.ClearField("shape")
    return bare


def _declaration(tensor: TensorProto) -> ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
