"""What a model claims of itself and cannot be: tensors of other sizes than their data, functions without end.

Checked as soon as a file is read, before anything believes it: onnx, onnxruntime and numpy take memory by the claim,
or call a function that calls itself until the stack is full.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper
from onnx.external_data_helper import uses_external_data

from quantize.errors import ModelError
from quantize.graph.nodes import all_nodes, all_tensors, subgraphs

LARGEST_GRAPH = 1_000_000
"""Nodes that a model may come to once its functions are written out."""

_Name = tuple[str, str, str]
"""Domain, name and overload of a function."""

_FIELDS = {
    TensorProto.FLOAT: ("float_data", 1),
    TensorProto.DOUBLE: ("double_data", 1),
    TensorProto.INT64: ("int64_data", 1),
    TensorProto.UINT32: ("uint64_data", 1),
    TensorProto.UINT64: ("uint64_data", 1),
    TensorProto.STRING: ("string_data", 1),
    TensorProto.COMPLEX64: ("float_data", 2),
    TensorProto.COMPLEX128: ("double_data", 2),
}
"""Where a tensor that is not raw has its data, and values an element; ``int32_data`` for all else."""

_HALF_BYTES = {getattr(TensorProto, name) for name in ("INT4", "UINT4", "FLOAT4E2M1") if hasattr(TensorProto, name)}


def refuse_false_claims(model: ModelProto, where: str) -> None:
    """Refuse a model with a tensor whose data do not fit its size, or with functions that have no end.

    Args:
        model: With its external data loaded.
        where: Its name in errors.

    Raises:
        ModelError: It has one.
    """
    tensors = [*all_tensors(model.graph), *_tensors_of_functions(model)]
    for tensor in tensors:
        wrong = _wrong_size(tensor)
        if wrong is not None:
            raise ModelError(
                "a tensor of the model is damaged",
                where=where,
                found=f"{tensor.name!r} of type {tensor.data_type} and {'x'.join(map(str, tensor.dims)) or 'one value'}"
                f" {wrong}",
                expected="as much data as its type and its dimensions say, in one piece",
                advice="copy or download the model again, or export it again",
            )
    if model.functions:
        _refuse_endless(model, where)


def _tensors_of_functions(model: ModelProto) -> Iterator[TensorProto]:
    for function in model.functions:
        for node in function.node:
            for entry in node.attribute:
                yield from (entry.t, *entry.tensors) if entry.HasField("t") else entry.tensors
            for inner in subgraphs(node):
                yield from all_tensors(inner)


def _wrong_size(tensor: TensorProto) -> str | None:
    """Return what is wrong with a tensor's data, words that follow its description; None: nothing."""
    if uses_external_data(tensor):
        return "has its data in another file, which a function may not"
    if tensor.HasField("segment"):
        return "is a segment of a larger tensor, which nothing puts together"
    if any(size < 0 for size in tensor.dims):
        return "has a negative dimension"
    elements = math.prod(tensor.dims)
    if tensor.data_type not in helper.get_all_tensor_dtypes():
        return "is of a type that ONNX does not have"
    if tensor.HasField("raw_data"):
        there, needed, unit = len(tensor.raw_data), _raw_bytes(tensor, elements), "bytes"
    else:
        field, each = _FIELDS.get(tensor.data_type, ("int32_data", 1))
        there, needed, unit = len(getattr(tensor, field)), elements * each, "values"
        if tensor.data_type in _HALF_BYTES:
            needed = (elements + 1) // 2
    return None if there == needed else f"has {there:,} {unit} instead of {needed:,}"


def _raw_bytes(tensor: TensorProto, elements: int) -> int:
    if tensor.data_type in _HALF_BYTES:
        return (elements + 1) // 2
    name = TensorProto.DataType.Name(tensor.data_type)
    if name.startswith(("BFLOAT16", "FLOAT8")):  # onnx before 1.19 gives the type that it converts them to
        return elements * (2 if name == "BFLOAT16" else 1)
    return elements * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _refuse_endless(model: ModelProto, where: str) -> None:
    functions = {(function.domain, function.name, function.overload): function for function in model.functions}
    calls = {key: Counter(_called(function)) for key, function in functions.items()}
    sizes: dict[_Name, int] = {}
    for start in functions:
        # Depth first without recursion: a chain of functions may be longer than Python's stack.
        open_calls, path = [start], set[_Name]()
        while open_calls:
            key = open_calls[-1]
            inner = [called for called in calls[key] if called in functions]
            missing = [called for called in inner if called not in sizes]
            if key in sizes or not missing:
                sizes[key] = sum(count * sizes.get(called, 1) for called, count in calls[key].items())
                path.discard(key)
                open_calls.pop()
            elif key in path or any(called in path for called in missing):
                raise _endless(where, f"{key[1]!r} calls itself" + ("" if key in missing else ", through others"))
            else:
                path.add(key)
                open_calls.extend(missing)
    nodes = sum(sizes.get(_name(node), 1) for node in all_nodes(model.graph))
    if nodes > LARGEST_GRAPH:
        raise _endless(where, f"{nodes:,} nodes once its functions are written out" if nodes < 10**12 else "no end")


def _called(function: FunctionProto) -> Iterator[_Name]:
    for node in function.node:
        yield _name(node)
        for graph in subgraphs(node):
            yield from map(_name, all_nodes(graph))


def _name(node: NodeProto) -> _Name:
    return (node.domain, node.op_type, node.overload)


def _endless(where: str, found: str) -> ModelError:
    return ModelError(
        "the model's functions have no end",
        where=where,
        found=found,
        expected=f"functions that come to at most {LARGEST_GRAPH:,} nodes",
        advice="export the model without functions",
    )
