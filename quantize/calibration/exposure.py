"""Which tensors a calibration pass reads, which follow from others, and how inner tensors become outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from quantize.data.batches import Batch
from quantize.graph.nodes import MATRIX_PRODUCTS, is_op
from quantize.graph.shapes import inferred_types

_SAME_VALUES = frozenset({"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
_MEAN_SUFFIX = ":channel_mean"
_IMAGE = 4
_OF_IMAGE = (0, 2, 3)
_SEQUENCES = (2, 3)
"""Ranks of tensors whose channels are last, where no Conv reads them."""


@dataclass(frozen=True)
class Derivation:
    """A tensor whose values follow from those of others, whatever the image.

    Attributes:
        tensor: The tensor's name.
        sources: The tensors whose values it holds together.
        lowest: The values are clipped from below, or None.
        highest: The values are clipped from above, or None.
    """

    tensor: str
    sources: tuple[str, ...]
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True)
class Exposure:
    """What to read from a model to know the values of all its tensors.

    Attributes:
        observed: Tensors whose values must be read.
        derivations: The others, in an order in which every source comes first.
        means: (tensor, model output that holds its mean by channel, of C elements).
        model: The model with those outputs instead of its own.
    """

    observed: tuple[str, ...]
    derivations: tuple[Derivation, ...]
    means: tuple[tuple[str, str], ...]
    model: onnx.ModelProto


def expose(model: onnx.ModelProto) -> Exposure:
    """Return what must be read from ``model`` to know the distribution of every float tensor.

    The output of a Relu or Clip, a Concat, or a Reshape holds the values of its inputs, clipped or side by side:
    its histogram is computed from theirs. The means by channel are computed by the model itself.
    """
    ranks = _float_ranks(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    known = {value.name for value in model.graph.input if value.name not in constants}
    observed: list[str] = []
    derivations: list[Derivation] = []
    for node in model.graph.node:
        for position, tensor in enumerate(node.output):
            if tensor not in ranks:
                continue
            derivation = _derivation(node, known, constants) if position == 0 else None
            if derivation is None:
                observed.append(tensor)
            else:
                derivations.append(derivation)
            known.add(tensor)
    tensors = (*observed, *(derived.tensor for derived in derivations))
    readers = _Readers.of(model)
    means = [
        (name, name + _MEAN_SUFFIX, axes)
        for name in tensors
        if (rank := ranks[name]) is not None and (axes := readers.averaged(name, rank)) is not None
    ]
    return Exposure(
        observed=tuple(observed),
        derivations=tuple(derivations),
        means=tuple((name, output) for name, output, _ in means),
        model=_with_means(model, observed, means),
    )


@dataclass(frozen=True)
class _Readers:
    """The tensors that products read: a Conv has their channels on axis 1, a MatMul or Gemm on the last."""

    convs: frozenset[str]
    matrix_products: frozenset[str]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> _Readers:
        convs, products = (
            frozenset(node.input[0] for node in model.graph.node if is_op(node, *kinds))
            for kinds in (("Conv",), MATRIX_PRODUCTS)
        )
        return cls(convs, products)

    def averaged(self, tensor: str, rank: int) -> tuple[int, ...] | None:
        """Return the axes over which a tensor's mean by channel is taken: all but that of the channels.

        None where that is not known: of what both a Conv and a MatMul read, and of other ranks that neither reads.
        """
        by_conv, by_product = tensor in self.convs, tensor in self.matrix_products
        if (by_conv and by_product and rank > min(_SEQUENCES)) or rank < min(_SEQUENCES):
            return None
        if by_conv or (rank == _IMAGE and not by_product):
            return (0, *range(2, rank))
        return tuple(range(rank - 1)) if by_product or rank in _SEQUENCES else None


def _float_ranks(model: onnx.ModelProto) -> dict[str, int | None]:
    """Return the rank of every float tensor; None where it cannot be inferred, as behind an If, or for no values."""
    ranks: dict[str, int | None] = {}
    for name, kind in inferred_types(model).items():
        tensor = kind.tensor_type
        if tensor.elem_type == TensorProto.FLOAT:
            empty = any(size.HasField("dim_value") and not size.dim_value for size in tensor.shape.dim)
            ranks[name] = len(tensor.shape.dim) if tensor.HasField("shape") and not empty else None
    return ranks


def _derivation(node: onnx.NodeProto, known: set[str], constants: dict[str, onnx.TensorProto]) -> Derivation | None:
    if not node.input or node.input[0] not in known:
        return None
    if node.op_type == "Relu":
        return Derivation(node.output[0], (node.input[0],), lowest=0.0)
    if node.op_type == "Clip":
        bounds = dict(_clip_bounds(node, constants))
        return None if None in bounds.values() else Derivation(node.output[0], (node.input[0],), **bounds)
    if node.op_type in _SAME_VALUES:
        return Derivation(node.output[0], (node.input[0],))
    if node.op_type == "Concat" and all(name in known for name in node.input):
        return Derivation(node.output[0], tuple(node.input))
    return None


def _clip_bounds(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> Iterator[tuple[Literal["lowest", "highest"], float | None]]:
    """Yield the bounds that the Clip has; None for one that is computed by the model."""
    attributes = {attribute.name: attribute.f for attribute in node.attribute}
    for position, (attribute, bound) in enumerate((("min", "lowest"), ("max", "highest")), start=1):
        if attribute in attributes:
            yield bound, attributes[attribute]  # type: ignore[misc]
        elif len(node.input) > position and node.input[position]:
            tensor = constants.get(node.input[position])
            yield bound, None if tensor is None else float(np.asarray(numpy_helper.to_array(tensor)).item())  # type: ignore[misc]


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Return a copy of ``model`` whose outputs are these float tensors."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    own_outputs = {value.name: value for value in model.graph.output}
    del exposed.graph.output[:]
    for name in names:
        exposed.graph.output.append(
            own_outputs.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        )
    return exposed


def _with_means(
    model: onnx.ModelProto, observed: list[str], means: list[tuple[str, str, tuple[int, ...]]]
) -> onnx.ModelProto:
    exposed = with_outputs(model, observed)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    for name, output, axes in means:
        if axes == _OF_IMAGE:
            # The pooling op takes the blocked layout that convolutions leave their output in; ReduceMean does not.
            exposed.graph.node.append(helper.make_node("GlobalAveragePool", [name], [output]))
        elif opset < 18:
            exposed.graph.node.append(helper.make_node("ReduceMean", [name], [output], axes=axes, keepdims=0))
        else:
            constant = f"{output}_axes"
            exposed.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), constant))
            exposed.graph.node.append(helper.make_node("ReduceMean", [name, constant], [output], keepdims=0))
        exposed.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    return exposed


class OneImage:
    """Runs a session on single images; a fixed batch is filled with copies, of which the first counts."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Set up for a session with one input."""
        self._session = session
        given = session.get_inputs()[0]
        self.input: str = given.name
        size = given.shape[0]
        self._batch = size if isinstance(size, int) and size > 0 else 1

    def run(self, names: Sequence[str], image: npt.NDArray[np.float32]) -> list[npt.NDArray[Any]]:
        """Return outputs for an image, float32 (1, ...) as the model takes it."""
        if not names:  # which onnxruntime takes for all
            return []
        if self._batch == 1:
            outputs: list[npt.NDArray[Any]] = self._session.run(list(names), {self.input: image})
            return outputs
        copies = np.repeat(image, self._batch, axis=0)
        return [
            values[:1] if values.ndim and values.shape[0] == self._batch else values
            for values in self._session.run(list(names), {self.input: copies})
        ]


def single_images(batches: Iterable[Batch]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the images of the batches one by one, float32 (1, ...)."""
    for batch in batches:
        for position in range(len(batch.images)):
            yield batch.images[position : position + 1]
