"""Shapes of the tensors between nodes, inferred without copying the weights; the only caller of onnx's inference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TensorShapeProto,
    TypeProto,
    ValueInfoProto,
    defs,
    helper,
    shape_inference,
)

from quantize.errors import ModelError
from quantize.graph.nodes import DEFAULT_DOMAIN, DEFAULT_DOMAINS, MICROSOFT, operator_of
from quantize.graph.told_types import told_types

Shape = tuple[int | str | None, ...]
"""One entry per dimension: its size, its symbol, or None where nothing is known."""

_KEEPS_SHAPE = frozenset(
    {
        (DEFAULT_DOMAIN, "GroupNormalization"),
        *((MICROSOFT, name) for name in ("QuickGelu", "Gelu", "FastGelu", "BiasGelu")),
        *((MICROSOFT, name) for name in ("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax")),
    }
)
"""Operators that onnx infers nothing behind, or not for any batch, and whose result has the shape of their input."""

_SMALL = 1024
"""Constants of up to so many elements may be shapes themselves; larger ones are declared by type and shape alone."""


def inferred_shapes(model: ModelProto) -> dict[str, Shape]:
    """Return the shapes of the main graph's tensors by name, as far as they can be inferred.

    Of the constants, only small ones, which may themselves be shapes, are looked at. What is declared of the outputs
    counts where nothing can be inferred.

    Raises:
        ModelError: What the nodes say contradicts itself.
    """
    return shapes_of(model, model.graph.node, model.graph.initializer)


def shapes_of(shell: ModelProto, nodes: Iterable[NodeProto], weights: Iterable[TensorProto]) -> dict[str, Shape]:
    """Return the same for nodes and initializers that are held apart from the model that declares all else."""
    weights = list(weights)
    graph = _inferred(_without_weights(shell, nodes, weights), data_prop=True).graph
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in weights}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = declared_shape(value)
        if shape is not None:
            shapes[value.name] = shape
    for value in shell.graph.output:
        declared, inferred = declared_shape(value), shapes.get(value.name)
        if declared is not None:
            inferred = inferred if inferred and len(inferred) == len(declared) else (None,) * len(declared)
            shapes[value.name] = tuple(d if i is None else i for d, i in zip(declared, inferred, strict=True))
    return shapes


def inferred_graph(model: ModelProto, inputs: Mapping[str, Sequence[int]]) -> GraphProto:
    """Return a model's graph with the types and shapes of its tensors, as far as they follow from its inputs' sizes.

    The weights of more than a thousand elements are declared by type and shape alone. Operators newer than the
    installed onnx knows are taken as the newest that it knows; where nothing can be inferred, nothing is added.

    Args:
        model: Any model without functions; it is not changed.
        inputs: By input, the sizes to compute with in place of those that are declared.
    """
    bare = _without_weights(model, model.graph.node, list(model.graph.initializer))
    for entry in bare.opset_import:
        if entry.domain in DEFAULT_DOMAINS:
            entry.version = min(entry.version, defs.onnx_opset_version())
    for value in bare.graph.input:
        if value.name in inputs:
            value.type.tensor_type.shape.CopyFrom(_shape_of(inputs[value.name]))
    try:
        return _inferred(bare, data_prop=True).graph
    except ModelError:
        return bare.graph


def _shape_of(sizes: Sequence[int]) -> TensorShapeProto:
    return TensorShapeProto(dim=[TensorShapeProto.Dimension(dim_value=size) for size in sizes])


def with_inferred_shapes(model: ModelProto) -> ModelProto:
    """Return a copy of a model that declares the types and shapes of its tensors, as far as they can be inferred.

    Of what onnx cannot infer, onnxruntime is asked.
    """
    inferred = _inferred(model)
    inferred.graph.value_info.extend(told_types(model, _untyped(inferred.graph)))
    return inferred


def with_told_types(model: ModelProto) -> ModelProto:
    """Return a model that declares the types that onnx cannot infer but onnxruntime tells; itself without any."""
    bare, _ = _bare(model)
    told = told_types(bare, _untyped(_inferred(bare).graph))
    if not told:
        return model
    declared = ModelProto()
    declared.CopyFrom(model)
    declared.graph.value_info.extend(told)
    return declared


def _untyped(graph: GraphProto) -> list[str]:
    """Return the results of an inferred graph's nodes whose types it does not know."""
    values = (*graph.value_info, *graph.input, *graph.output)
    known = {value.name for value in values if value.type.WhichOneof("value") is not None}
    return [name for node in graph.node for name in node.output if name and name not in known]


def _inferred(model: ModelProto, *, data_prop: bool = False) -> ModelProto:
    """Return a copy of a model with its shapes.

    Raises:
        ModelError: They contradict each other, or the model is too damaged to have any.
    """
    try:
        return shape_inference.infer_shapes(model, data_prop=data_prop)
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise ModelError(
            "no shapes can be inferred in the model",
            found=str(error).strip(),
            expected="a model that onnx finds valid",
            advice="export the model again, or copy or download it again",
        ) from error


def inferred_types(model: ModelProto) -> dict[str, TypeProto]:
    """Return the types of a model's tensors by name, shapes with them, as far as they can be inferred or asked for."""
    bare, added = _bare(model)
    graph = with_inferred_shapes(bare).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {value.name: value.type for value in values if value.name not in added}


def _bare(model: ModelProto) -> tuple[ModelProto, set[str]]:
    """Return a model without large weights, and the inputs that stand for them."""
    bare = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    bare.graph.name = model.graph.name
    for field in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(bare.graph, field).extend(getattr(model.graph, field))
    return bare, _declare(model.graph.initializer, bare.graph)


def declared_shape(value: ValueInfoProto) -> Shape | None:
    """Return the shape that a value is declared with, or None if it is no tensor or has none."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dimensions = value.type.tensor_type.shape.dim
    return tuple(
        (int(d.dim_value) if d.dim_value > 0 else None) if d.HasField("dim_value") else d.dim_param or None
        for d in dimensions
    )


def fixed_sizes(shape: Shape | None) -> tuple[int, ...] | None:
    """Return a shape's sizes where all are numbers, else None."""
    sizes = tuple(size for size in shape or () if isinstance(size, int))
    return sizes if shape is not None and len(sizes) == len(shape) else None


def _stand_in(node: NodeProto) -> NodeProto:
    """Return what the inference knows, of the same shape, for an operator that keeps its input's."""
    if operator_of(node) not in _KEEPS_SHAPE:
        return node
    return helper.make_node("Identity", node.input[:1], node.output[:1], name=node.name)


def _without_weights(shell: ModelProto, nodes: Iterable[NodeProto], weights: list[TensorProto]) -> ModelProto:
    bare = ModelProto(ir_version=shell.ir_version)
    bare.opset_import.extend(shell.opset_import)
    bare.functions.extend(shell.functions)
    source, graph = shell.graph, bare.graph
    graph.name = source.name
    graph.node.extend(_stand_in(node) for node in nodes)
    # A graph that is being changed declares the domains of its new operators when it is finished.
    declared = {entry.domain for entry in shell.opset_import}
    missing = sorted({node.domain for node in graph.node} - declared - {*DEFAULT_DOMAINS})
    bare.opset_import.extend(helper.make_opsetid(domain, 1) for domain in missing)
    for field in ("input", "output", "value_info", "sparse_initializer"):
        getattr(graph, field).extend(getattr(source, field))
    _declare(weights, graph)
    for value in graph.output:
        # What follows from the input counts; exporters write other symbols here.
        value.type.tensor_type.ClearField("shape")
    return bare


def _declare(weights: Iterable[TensorProto], graph: GraphProto) -> set[str]:
    """Add small constants to a graph, declare large ones as inputs of it, and return which inputs were added."""
    named, added = {value.name for value in graph.input}, set()
    for tensor in weights:
        if math.prod(tensor.dims) <= _SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in named:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
            added.add(str(tensor.name))
    return added
