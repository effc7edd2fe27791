"""The tensor that holds a classifier's scores, among its outputs or before the ArgMax that it ends with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from quantize.errors import ModelError
from quantize.graph.nodes import attribute, is_op, replace_all
from quantize.graph.shapes import Shape, declared_shape, inferred_shapes, inferred_types
from quantize.graph.view import Graph

SCORE_OUTPUT = "score_output"
"""Key of ``metadata_props`` by which a model says which of several tensors holds its scores."""

EXPECTED = "one tensor of scores that squeezes to [N, classes]"

_CHOICES = frozenset({"ArgMax", "TopK"})
_BETWEEN = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16})


@dataclass(frozen=True)
class ScoreTensor:
    """A tensor that can be a classifier's scores.

    Attributes:
        name: The tensor.
        shape: As declared, or as inferred where that is known better.
        dtype: The numpy name of its type.
        output: The output of the file that gives it, or that is chosen by it (its ArgMax).
        given: Whether the file gives the scores themselves.
    """

    name: str
    shape: Shape
    dtype: str
    output: str
    given: bool

    @property
    def classes(self) -> int:
        """Return how many scores an image has: 1 for a model of one score."""
        return math.prod(size for size in self.shape[1:] if isinstance(size, int))

    @property
    def text(self) -> str:
        """Return the tensor as one reads it: name, type, shape."""
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        behind = "" if self.given else f", before {self.output}"
        return f"{self.name} {self.dtype}[{sizes}]{behind}"


def score_tensor(model: ModelProto, *, where: str | None = None, asked_for: str | None = None) -> ScoreTensor:
    """Return the tensor that holds a model's scores.

    It is the one output that can be scores, what an output's ArgMax or TopK chooses from (Cast, Squeeze and the like
    may follow), or the output that is asked for, by the caller or by the model's metadata.

    Args:
        model: Any classifier.
        where: Its name in errors.
        asked_for: An output or tensor; None: what the metadata say, or the only one there is.

    Raises:
        ModelError: There is none, there are several and none is asked for, or the one asked for is none.
    """
    found = score_tensors(model)
    outputs = model.graph.output
    name = asked_for or said(model, SCORE_OUTPUT)
    if name is not None:
        chosen = [tensor for tensor in found if name in (tensor.name, tensor.output)]
        if chosen:
            return next((tensor for tensor in chosen if tensor.name == name), chosen[0])
        raise ModelError(
            f"the model's {name!r} is no output of class scores",
            where=where,
            found="; ".join(describe(value) for value in outputs),
            expected=f"the name of {EXPECTED}" + (f": {', '.join(t.output for t in found)}" if found else ""),
        )
    if len(found) == 1:
        return found[0]
    if found:
        raise ModelError(
            "the model has several outputs that can be class scores",
            where=where,
            found="; ".join(tensor.text for tensor in found),
            expected=EXPECTED,
            advice=f"name it: --score_output {found[0].output}; the others stay in the files as they are",
        )
    if len(outputs) == 1 and not outputs[0].type.HasField("tensor_type"):
        raise ModelError("the model's output is no tensor", where=where, found=describe(outputs[0]), expected=EXPECTED)
    raise ModelError(
        f"the model's output{'s are' if len(outputs) > 1 else ' is'} no list of class scores",
        where=where,
        found="; ".join(describe(value) for value in outputs) or "no output",
        expected=EXPECTED,
    )


def score_tensors(model: ModelProto) -> tuple[ScoreTensor, ...]:
    """Return every tensor that can be the scores, in the order of the outputs that give them or choose from them."""
    tensors: dict[str, ScoreTensor] = {}
    for tensor in _found(model):
        if tensor.given or tensor.name not in tensors:
            tensors[tensor.name] = tensor
    return tuple(tensors.values())


def describe(value: ValueInfoProto) -> str:
    """Return a declared value as one reads it: name, type, shape."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return f"{value.name}: {(kind or 'unknown').removesuffix('_type')}"
    tensor = value.type.tensor_type
    known = tensor.elem_type in TensorProto.DataType.values()
    name = TensorProto.DataType.Name(tensor.elem_type).lower() if known else f"unknown type {tensor.elem_type}"
    if not tensor.HasField("shape"):
        return f"{value.name}: {name} of unknown shape"
    sizes = [str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim]
    return f"{value.name}: {name}[{', '.join(sizes)}]"


def _found(model: ModelProto) -> Iterator[ScoreTensor]:
    graph, outputs = Graph.of(model), model.graph.output
    inferred: dict[str, Shape] | None = None
    for value in outputs:
        choice = _choice_behind(graph, value.name)
        if choice is not None:
            inferred = inferred_shapes(model) if inferred is None else inferred
            yield from _hidden(model, value.name, choice, inferred.get(choice.input[0]))
            continue
        element, shape = value.type.tensor_type.elem_type, declared_shape(value)
        if element not in (_FLOATS if len(outputs) > 1 else helper.get_all_tensor_dtypes()):
            continue
        if not _is_scores(model, shape):
            inferred = inferred_shapes(model) if inferred is None else inferred
            shape = inferred.get(value.name)
        if shape is not None and _is_scores(model, shape):
            yield ScoreTensor(value.name, shape, _numpy_name(element), value.name, given=True)


def _hidden(model: ModelProto, output: str, choice: NodeProto, shape: Shape | None) -> Iterator[ScoreTensor]:
    """Yield what an output's ArgMax chooses from, if that is scores of several classes."""
    source = str(choice.input[0])
    kind = inferred_types(model).get(source)
    element = TensorProto.FLOAT if kind is None else kind.tensor_type.elem_type
    if shape is None or element not in _FLOATS or not _is_scores(model, shape):
        return
    given = any(value.name == source for value in model.graph.output)
    tensor = ScoreTensor(source, shape, _numpy_name(element), source if given else output, given=given)
    axis = attribute(choice, "axis", -1 if is_op(choice, "TopK") else 0)
    if tensor.classes > 1 and shape[axis] == tensor.classes and axis % len(shape):
        yield tensor


def _choice_behind(graph: Graph, output: str) -> NodeProto | None:
    """Return the ArgMax or TopK that an output comes from; None if there is none."""
    node = graph.producer(output)
    while node is not None:
        if is_op(node, *_CHOICES):
            return node
        if is_op(node, *_BETWEEN):
            node = graph.producer(node.input[0])
        elif is_op(node, "Gather") and graph.constant(node.input[0]) is not None:  # a table of labels
            node = graph.producer(node.input[1])
        else:
            return None
    return None


def _is_scores(model: ModelProto, shape: Shape | None) -> bool:
    """Return whether the first dimension is the batch and at most one of the others, all known, is more than 1."""
    if not shape:
        return False
    rest = shape[1:]
    if not rest:
        return _is_batch(model, shape[0])
    return all(isinstance(size, int) for size in rest) and sum(size != 1 for size in rest) <= 1


def _is_batch(model: ModelProto, size: int | str | None) -> bool:
    """Return whether the only dimension of an output is the batch: it is as the image's first one, or not fixed."""
    if not isinstance(size, int):
        return True
    weights = {tensor.name for tensor in model.graph.initializer}
    images = [declared_shape(value) for value in model.graph.input if value.name not in weights]
    return any(shape is not None and shape[:1] == (size,) for shape in images)


def said(model: ModelProto, key: str) -> str | None:
    """Return what a model's metadata say under a key, or None."""
    return next((entry.value for entry in model.metadata_props if entry.key == key), None)


def say(model: ModelProto, key: str, value: str) -> None:
    """Write a text into a model's metadata under a key. In place."""
    replace_all(model.metadata_props, [entry for entry in model.metadata_props if entry.key != key])
    model.metadata_props.add(key=key, value=value)


def _numpy_name(element: int) -> str:
    return str(helper.tensor_dtype_to_np_dtype(element).name)
