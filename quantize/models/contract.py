"""The inputs and outputs of a classifier: names, shapes, types, and the kind of its scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from onnx import ModelProto, ValueInfoProto, helper

from quantize.errors import ModelError
from quantize.graph.nodes import attribute, is_op
from quantize.graph.shapes import Shape, declared_shape
from quantize.graph.view import Graph
from quantize.models.score_tensor import describe, said, score_tensor

ScoreKind = Literal["softmax", "sigmoid", "logits"]
Task = Literal["one class", "yes or no", "labels"]

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
_SIGMOID = frozenset({"Sigmoid", "QLinearSigmoid"})
_SUMS = frozenset({"ReduceSum"})


def score_kind(model: ModelProto, scores: str | None = None) -> ScoreKind:
    """Return what the scores come from: a ``softmax`` (one operator or Exp/ReduceSum/Div), a ``sigmoid``, or neither.

    Operators that only move or store the values may stand between.

    Args:
        model: Any classifier.
        scores: The tensor with the scores; None: the first output.
    """
    graph = Graph.of(model)
    node = graph.producer(scores or graph.outputs[0])
    while node is not None and node.op_type in _CARRIERS:
        node = graph.producer(node.input[0])
    if node is None:
        return "logits"
    if node.op_type in _SOFTMAX:
        return "softmax"
    if node.op_type in _SIGMOID:
        return "sigmoid"
    if node.op_type == "Div":
        divisor = graph.producer(node.input[1])
        if divisor is not None and divisor.op_type in _SUMS and divisor.input[0] == node.input[0]:
            return "softmax"
    return "logits"


SCORE_TASK = "score_task"
"""Key of ``metadata_props`` by which a model without a Sigmoid says that it gives labels."""

Layout = Literal["NCHW", "NHWC"]
CHANNELS = (3, 1)
"""Numbers of channels that an image may have: colours, or grey."""


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
        output: The scores; the tensor squeezes to (N, columns).
        classes: Number of classes; two for a model of one score.
        input_layout: Where the input's channels stand.
        scores: Whether the scores of the classes are probabilities that sum to 1 (``softmax``; the two of a score
            behind a Sigmoid do), one of each class (``sigmoid``), or not (``logits``).
        task: What a model says of an image: its class, yes or no (one score), or each label that it has.
        gives_scores: Whether the scores are an output; else the file gives what its ArgMax chooses from them.
        others: The file's other outputs.
    """

    input: TensorContract
    output: TensorContract
    classes: int
    input_layout: Layout = "NCHW"
    scores: ScoreKind = "logits"
    task: Task = "one class"
    gives_scores: bool = True
    others: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        """Return how many scores an image has."""
        return 1 if self.task == "yes or no" else self.classes

    @property
    def scores_in_words(self) -> str:
        """Return what the scores are and how an answer is read from them."""
        if self.task == "yes or no":
            return "one probability (sigmoid), yes above 0.5" if self.scores == "softmax" else "one logit, yes above 0"
        if self.task == "labels":
            kind = "a probability (sigmoid), given above 0.5" if self.scores == "sigmoid" else "a logit, given above 0"
            return f"{self.classes:,} labels, each {kind}"
        return f"{'probabilities (softmax)' if self.scores == 'softmax' else 'logits'} of {self.classes:,} classes"

    @property
    def may_have_several_labels(self) -> bool | None:
        """Return whether images have several labels; None where their label file has to show it: the scores do not."""
        if self.task == "labels":
            return True
        return None if self.task == "one class" and self.scores == "logits" else False

    @property
    def answer(self) -> str:
        """Return the output by which the file answers: its scores, or the first that it gives in their stead."""
        return self.output.name if self.gives_scores else self.others[0]

    @property
    def fixed_batch(self) -> int | None:
        """Return the batch size that the model insists on, or None if it takes any."""
        batch = self.input.shape[0]
        return batch if isinstance(batch, int) else None

    @property
    def channels(self) -> int:
        """Return the number of the image's channels."""
        channels = self.input.shape[1 if self.input_layout == "NCHW" else 3]
        assert isinstance(channels, int)
        return channels

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Return the (height, width) that the model insists on, or None if it takes others.

        Images are square: a model that insists on one of the two insists on both.
        """
        sizes = self.input.shape[2:] if self.input_layout == "NCHW" else self.input.shape[1:3]
        known = [size for size in sizes if isinstance(size, int)]
        return (known[0], known[-1]) if known else None


def model_contract(model: ModelProto, *, where: str | None = None, score_output: str | None = None) -> ModelContract:
    """Return the contract of an image classifier, fp32 or quantized.

    Args:
        model: Weights may be graph inputs too, as in files of IR version 3.
        where: The model's name in errors.
        score_output: The output that holds the scores, where several could; None: see ``score_tensor``.

    Raises:
        ModelError: The model has no image input or more than one, or no output of class scores, or several.
    """
    image, layout = _image_input(model, where)
    scores = score_tensor(model, where=where, asked_for=score_output)
    kind = score_kind(model, scores.name)
    task = score_task(model, scores.classes, kind)
    return ModelContract(
        input=image,
        output=TensorContract(scores.name, scores.shape, scores.dtype),
        classes=max(scores.classes, 2),
        input_layout=layout,
        scores="softmax" if task == "yes or no" and kind == "sigmoid" else kind,
        task=task,
        gives_scores=scores.given,
        others=tuple(value.name for value in model.graph.output if value.name != scores.name),
    )


def score_task(model: ModelProto, columns: int, kind: ScoreKind) -> Task:
    """Return what a model's scores say of an image, from how many there are, what they come from, and its metadata."""
    if columns == 1:
        return "yes or no"
    return "labels" if kind == "sigmoid" or said(model, SCORE_TASK) == "labels" else "one class"


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
    expected = "one image input of shape [N, 3, height, width] or [N, height, width, 3], or of one channel"
    if len(inputs) != 1:
        raise ModelError(
            "the model does not take one image",
            where=where,
            found=f"{len(inputs)} inputs" + (": " + ", ".join(value.name for value in inputs) if inputs else ""),
            expected=expected,
        )
    contract = tensor_contract(inputs[0])
    if contract is None or len(contract.shape) != 4:
        raise ModelError("the model's input is not an image", where=where, found=describe(inputs[0]), expected=expected)
    if not isinstance(contract.shape[1], int) and not isinstance(contract.shape[3], int):
        contract = _with_channels_of_conv(model, contract)
    for channels in CHANNELS:
        if contract.shape[1] == channels:
            return contract, "NCHW"
        if contract.shape[3] == channels:
            return contract, "NHWC"
    raise ModelError(
        "the model's input has no dimension of three colour channels, or of one",
        where=where,
        found=describe(inputs[0]),
        expected=expected,
    )


def _with_channels_of_conv(model: ModelProto, image: TensorContract) -> TensorContract:
    """Return an input of unknown channels, all dimensions being symbolic, with those of the Conv that reads it."""
    graph = Graph.of(model)
    for node in graph.consumers(image.name):
        weight = graph.tensor(node.input[1]) if is_op(node, "Conv") else None
        if weight is not None and len(weight.dims) == 4:
            batch, _, *sizes = image.shape
            return replace(image, shape=(batch, weight.dims[1] * attribute(node, "group", 1), *sizes))
    return image
