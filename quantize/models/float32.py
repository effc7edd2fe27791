"""Convert a model in another floating-point type to float32."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, numpy_helper

from quantize.graph.cleaning import drop_idle_casts
from quantize.graph.nodes import WEIGHTED, all_nodes, all_tensors, is_op, subgraphs
from quantize.graph.shapes import inferred_types
from quantize.graph.view import Graph

NAMES = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16", TensorProto.DOUBLE: "float64"}
"""Types that are converted, and their numpy names."""

_HALF = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})
_TYPE_ATTRIBUTES = frozenset({"to", "dtype", "stash_type", "output_datatype", "output_dtype"})


def other_floats(model: ModelProto) -> tuple[str, ...]:
    """Return the names of the floating-point types that a model has to be converted from, sorted; none for float32.

    Half precision counts wherever it is stored or declared. float64 counts where the model takes it, gives it or
    multiplies by it: exporters also compute shapes in it, which is right as it is.
    """
    values = [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)]
    kinds = {*values, *(tensor.data_type for tensor in all_tensors(model.graph) if tensor.data_type in _HALF)}
    kinds |= {entry.i for node in all_nodes(model.graph) for entry in node.attribute if entry.name == "to"} & _HALF
    weights = {name for node in model.graph.node if is_op(node, *WEIGHTED) for name in node.input}
    kinds |= {tensor.data_type for tensor in model.graph.initializer if tensor.name in weights}
    return tuple(sorted(NAMES[kind] for kind in kinds & set(NAMES)))


def in_float32(model: ModelProto) -> ModelProto:
    """Return a model with every tensor of half or double precision in float32; the model itself where there is none.

    Half precision is exact in float32; of float64, weights are rounded. Casts that then change nothing go. Names stay,
    those of inputs and outputs too.
    """
    if not other_floats(model):
        return model
    result = ModelProto()
    result.CopyFrom(model)
    _convert(result.graph)
    types = inferred_types(result)
    graph = Graph(result, numbers_from=2)
    drop_idle_casts(graph, types)
    return graph.model()


def _convert(graph: GraphProto) -> None:
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        _convert_tensor(tensor)
    _convert_values((*graph.input, *graph.output, *graph.value_info))
    for node in graph.node:
        _convert_attributes(node)
        for inner in subgraphs(node):
            _convert(inner)


def _convert_attributes(node: NodeProto) -> None:
    for entry in node.attribute:
        if entry.name in _TYPE_ATTRIBUTES and entry.i in NAMES:
            entry.i = TensorProto.FLOAT
        if entry.HasField("t"):
            _convert_tensor(entry.t)
        if entry.HasField("sparse_tensor"):
            _convert_tensor(entry.sparse_tensor.values)
        for tensor in entry.tensors:
            _convert_tensor(tensor)


def _convert_tensor(tensor: TensorProto) -> None:
    if tensor.data_type not in NAMES:
        return
    values = numpy_helper.to_array(tensor)
    if values.dtype.itemsize == 2 and tensor.data_type == TensorProto.BFLOAT16:
        # The upper half of a float32; what numpy type carries it depends on the version of onnx.
        values = (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):  # beyond float32's range lie bounds that stand for infinity
        values = values.astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _convert_values(values: Iterable[ValueInfoProto]) -> None:
    for value in values:
        _convert_type(value.type)


def _convert_type(kind: TypeProto) -> None:
    name = kind.WhichOneof("value")
    if name in ("tensor_type", "sparse_tensor_type"):
        tensor = getattr(kind, name)
        if tensor.elem_type in NAMES:
            tensor.elem_type = TensorProto.FLOAT
    elif name in ("sequence_type", "optional_type"):
        _convert_type(getattr(kind, name).elem_type)
