"""Convs as rewrites see them: the first one of a model, and the weights of a quantized one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.errors import ModelError
from quantize.formats.parameters import Parameters, add_dequantize, is_dequantize, is_quantize
from quantize.formats.qdq_pattern import QuantizedInput, constant_integers, constant_values
from quantize.graph.nodes import attribute, attributes, explicit_pads, is_op
from quantize.graph.view import Graph
from quantize.models.contract import CHANNELS


@dataclass(frozen=True)
class ConvWeights:
    """The weights of a quantized Conv without groups, of one scale or one an output channel.

    Attributes:
        node: The Conv.
        source: The constant integers' name and parameters.
        integers: (outputs, channels, sizes of the kernel).
    """

    node: NodeProto
    source: QuantizedInput
    integers: NDArray[Any]

    @classmethod
    def of(cls, graph: Graph, node: NodeProto) -> ConvWeights | None:
        """Return the weights of a node that is such a Conv."""
        constant = constant_integers(graph, node.input[1]) if is_op(node, "Conv") else None
        if constant is None or attribute(node, "group", 1) != 1 or constant[0].by.axis not in (None, 0):
            return None
        return cls(node, *constant)

    @property
    def zero_points(self) -> NDArray[Any]:
        """Return what stands for weights of zero, in a shape that goes with the integers."""
        return self.source.by.zero_point.reshape(-1, *[1] * (self.integers.ndim - 1))

    def replace(self, graph: Graph, integers: NDArray[Any], suffix: str, by: Parameters | None = None) -> None:
        """Let the Conv multiply with other integers, of the same parameters or of those that are given."""
        name = graph.add_constant(f"{self.source.integers}_{suffix}", integers)
        graph.set_input(self.node, 1, add_dequantize(graph, name, by or self.source.by))


def first_conv(graph: Graph, name: str) -> tuple[NodeProto | None, NodeProto | None]:
    """Return the Conv that alone reads the input, and the QuantizeLinear before it if there is one."""
    readers = graph.consumers(name)
    quantize = readers[0] if len(readers) == 1 and is_quantize(readers[0]) else None
    if quantize is not None:
        readers = graph.consumers(quantize.output[0])
        readers = graph.consumers(readers[0].output[0]) if len(readers) == 1 and is_dequantize(readers[0]) else []
    conv = readers[0] if len(readers) == 1 and is_op(readers[0], "Conv") else None
    if conv is None or attribute(conv, "group", 1) != 1 or conv_weight(graph, conv) is None:
        return None, None
    return conv, quantize


def conv_weight(graph: Graph, conv: NodeProto) -> NDArray[Any] | None:
    """Return the float weight of a Conv on an image, three channels or one, whether it is quantized or not."""
    values = constant_values(graph, conv.input[1])
    return values if values is not None and values.ndim == 4 and values.shape[1] in CHANNELS else None


def conv_bias(graph: Graph, conv: NodeProto, count: int) -> NDArray[np.float64]:
    """Return the bias of a Conv, float64 (outputs,), zero without one."""
    if len(conv.input) < 3 or not conv.input[2]:
        return np.zeros(count)
    values = constant_values(graph, conv.input[2])
    assert values is not None
    return np.asarray(values, np.float64)


def conv_pads(graph: Graph, name: str, conv: NodeProto) -> list[int]:
    """Return the pads of a Conv that reads the tensor ``name``, in numbers.

    Raises:
        ModelError: They depend on a size that is not known.
    """
    shape = graph.shapes().get(name, ())
    weight = conv_weight(graph, conv)
    assert weight is not None
    sizes = [size if isinstance(size, int) else 0 for size in shape[2:]]
    pads = explicit_pads(conv, sizes, weight.shape[2:])
    if pads is None or (attribute(conv, "auto_pad", "NOTSET") not in ("NOTSET", "VALID") and 0 in sizes):
        raise ModelError(
            "the padding of the first Conv depends on a size that is not known",
            where=conv.name,
            advice="give the model a fixed input size",
        )
    return pads


def replace_conv(graph: Graph, conv: NodeProto, inputs: Sequence[str], *, padded: bool = False) -> None:
    """Put a Conv on new inputs; ``padded`` says that they are padded already, so that it need not pad."""
    kept = attributes(conv, without=["pads", "auto_pad"] if padded else [])
    graph.remove([conv])
    if padded:
        kept["pads"] = [0, 0, 0, 0]
    graph.add("Conv", inputs, list(conv.output), name=conv.name, **kept)
