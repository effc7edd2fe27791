"""The inputs and outputs of a classifier: names, shapes, types, and the kind of its scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from quantize.errors import ModelError
from quantize.graph.shapes import Shape, declared_shape, inferred_shapes
from quantize.graph.view import Graph

ScoreKind = Literal["softmax", "logits"]

_CARRIERS = frozenset(
    {
        "Cast",
        "DequantizeLinear",
        "Dropout",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
_SOFTMAX = frozenset({"Softmax", "QLinearSoftmax"})
_SUMS = frozenset({"ReduceSum"})


def score_kind(model: ModelProto) -> ScoreKind:
    """Return ``softmax`` where the output comes from a Softmax (one operator or Exp/ReduceSum/Div), else ``logits``.

    Operators that only move or store the values may stand between.
    """
    graph = Graph.of(model)
    node = graph.producer(graph.outputs[0]) if graph.outputs else None
    while node is not None and node.op_type in _CARRIERS:
        node = graph.producer(node.input[0])
    if node is None:
        return "logits"
    if node.op_type in _SOFTMAX:
        return "softmax"
    if node.op_type == "Div":
        divisor = graph.producer(node.input[1])
        if divisor is not None and divisor.op_type in _SUMS and divisor.input[0] == node.input[0]:
            return "softmax"
    return "logits"


Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True)
class TensorContract:
    """A declared input or output.

    Attributes:
        name: The tensor's name.
        shape: One entry a dimension: its size, its symbol, or None if nothing is known.
        dtype: The numpy name of its type, such as ``float32``.
    """

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class ModelContract:
    """What a classifier takes and gives.

    Attributes:
        input: The one image input.
        output: The one output of class scores; it squeezes to (N, classes).
        classes: Number of classes.
        input_layout: Where the input's channels stand.
        scores: Whether the scores are probabilities (``softmax``) or not (``logits``).
    """

    input: TensorContract
    output: TensorContract
    classes: int
    input_layout: Layout = "NCHW"
    scores: ScoreKind = "logits"

    @property
    def fixed_batch(self) -> int | None:
        """Return the batch size that the model insists on, or None if it takes any."""
        batch = self.input.shape[0]
        return batch if isinstance(batch, int) else None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Return the (height, width) that the model insists on, or None if it takes others."""
        height, width = self.input.shape[2:] if self.input_layout == "NCHW" else self.input.shape[1:3]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def model_contract(model: ModelProto, *, where: str | None = None) -> ModelContract:
    """Return the contract of an image classifier, fp32 or quantized.

    Args:
        model: Weights may be graph inputs too, as in files of IR version 3.
        where: The model's name in errors.

    Raises:
        ModelError: The model has no image input or more than one, or no output of class scores or more than one.
    """
    image, layout = _image_input(model, where)
    scores = _class_scores(model, where)
    return ModelContract(
        input=image,
        output=scores,
        classes=_classes(scores, where),
        input_layout=layout,
        scores=score_kind(model),
    )


def real_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """Return the graph inputs that are not weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def tensor_contract(value: ValueInfoProto, inferred: Shape | None = None) -> TensorContract | None:
    """Return a declared value's name, shape and type, or None if it is no tensor or its type or rank is not known.

    Args:
        value: A graph's input or output.
        inferred: Its shape where that is known better than declared.
    """
    shape = inferred or declared_shape(value)
    element = value.type.tensor_type.elem_type
    if shape is None or not value.type.HasField("tensor_type") or element not in helper.get_all_tensor_dtypes():
        return None
    return TensorContract(value.name, shape, helper.tensor_dtype_to_np_dtype(element).name)


def _image_input(model: ModelProto, where: str | None) -> tuple[TensorContract, Layout]:
    inputs = real_inputs(model)
    expected = "one image input of shape [N, 3, height, width]"
    if len(inputs) != 1:
        raise ModelError(
            "the model does not take one image",
            where=where,
            found=f"{len(inputs)} inputs" + (": " + ", ".join(value.name for value in inputs) if inputs else ""),
            expected=expected,
        )
    contract = tensor_contract(inputs[0])
    if contract is None or len(contract.shape) != 4:
        raise ModelError("the model's input is no image", where=where, found=describe(inputs[0]), expected=expected)
    if contract.shape[1] == 3:
        return contract, "NCHW"
    if contract.shape[3] == 3:
        return contract, "NHWC"
    raise ModelError(
        "the model's input has no dimension of three colour channels",
        where=where,
        found=describe(inputs[0]),
        expected=expected,
    )


def _class_scores(model: ModelProto, where: str | None) -> TensorContract:
    expected = "one tensor of class scores that squeezes to [N, classes]"
    outputs = model.graph.output
    if len(outputs) != 1:
        raise ModelError(
            "the model does not have one output",
            where=where,
            found=f"{len(outputs)} outputs: " + ", ".join(value.name for value in outputs),
            expected=expected,
            advice="remove the other outputs from the graph (onnx.utils.extract_model does it)",
        )
    if not outputs[0].type.HasField("tensor_type"):
        raise ModelError("the model's output is no tensor", where=where, found=describe(outputs[0]), expected=expected)
    contract = tensor_contract(outputs[0])
    if contract is None or not _has_classes(contract.shape):
        contract = tensor_contract(outputs[0], inferred_shapes(model).get(outputs[0].name))
    if contract is None or not _has_classes(contract.shape):
        raise ModelError(
            "the model's output is no list of class scores", where=where, found=describe(outputs[0]), expected=expected
        )
    return contract


def _has_classes(shape: Shape) -> bool:
    """Return whether all dimensions after the batch are known and at most one of them is more than 1."""
    rest = shape[1:]
    return bool(rest) and all(isinstance(size, int) for size in rest) and sum(size != 1 for size in rest) == 1


def _classes(scores: TensorContract, where: str | None) -> int:
    classes = math.prod(size for size in scores.shape[1:] if isinstance(size, int))
    if classes < 2:
        raise ModelError("the model has only one class", where=where, found=f"shape {list(scores.shape)}")
    return classes


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
