"""Functions of one quantized tensor, such as SiLU, as rewrites see them: which function it is, and its values.

Exporters write the same function in many ways. It is told by its values, not by its nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from quantize.formats.parameters import Parameters
from quantize.formats.qdq_pattern import output_quantization, quantized_input
from quantize.graph.nodes import MICROSOFT
from quantize.graph.regions import functions
from quantize.graph.view import Graph
from quantize.models.session import open_session

Floats = NDArray[np.float32]

_CLOSE = 1e-5
_TRIED = np.linspace(-12, 12, 97, dtype=np.float32)


@dataclass(frozen=True)
class QuantizedFunction:
    """Float nodes between one DequantizeLinear and one QuantizeLinear that compute value by value.

    Attributes:
        nodes: In an order in which they can run.
        value: The dequantized tensor that they read.
        integers: The integers behind it.
        source: Their grid, per tensor.
        quantize: The QuantizeLinear of the result.
        result: Its grid, per tensor.
    """

    nodes: tuple[NodeProto, ...]
    value: str
    integers: str
    source: Parameters
    quantize: NodeProto
    result: Parameters

    @property
    def name(self) -> str:
        """Return the name of the last node."""
        return str(self.nodes[-1].name)

    def of(self, graph: Graph, values: Floats) -> Floats:
        """Return the function of values, float32 of the same shape, as onnxruntime computes it."""
        read = {name for node in self.nodes for name in node.input}
        constants = [tensor for name in sorted(read) if (tensor := graph.tensor(name)) is not None]
        output = self.nodes[-1].output[0]
        given = helper.make_tensor_value_info(self.value, TensorProto.FLOAT, list(values.shape))
        made = helper.make_empty_tensor_value_info(output)
        part = helper.make_graph(self.nodes, "function", [given], [made], constants)
        opsets = [helper.make_opsetid("", graph.opset), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(part, opset_imports=opsets, ir_version=8)
        session = open_session(model.SerializeToString(), optimization="none")
        result: Floats = np.asarray(session.run([output], {self.value: values})[0])
        return result

    def on_grid(self, graph: Graph) -> Floats:
        """Return the function of each value of the input's grid by the bits of its integer, of shape (256,)."""
        kind = self.source.zero_point.dtype
        integers = np.arange(256, dtype=np.uint8).view(kind)
        return self.of(graph, self.source.dequantize(integers))

    def tried(self, graph: Graph) -> Floats:
        """Return the function of a sample of numbers, by which ``is_same`` tells it."""
        return self.of(graph, _TRIED)


def is_same(tried: Floats, function: Callable[[NDArray[np.float64]], NDArray[Any]]) -> bool:
    """Return whether what ``QuantizedFunction.tried`` returned is what a function gives, to float32's rounding."""
    return bool(np.allclose(tried, function(_TRIED.astype(np.float64)), rtol=_CLOSE, atol=_CLOSE))


def quantized_functions(graph: Graph) -> Iterator[QuantizedFunction]:
    """Yield the functions of quantized tensors in a graph in canonical form, in its order."""
    for nodes in functions(graph):
        value = next(name for name in nodes[0].input if graph.constant(name) is None)
        source, result = quantized_input(graph, value), output_quantization(graph, nodes[-1].output[0])
        if source is not None and source.by.axis is None and result is not None and _same_type(source.by, result[1]):
            yield QuantizedFunction(nodes, value, source.integers, source.by, *result)


def sigmoid_product(slope: float) -> Callable[[NDArray[np.float64]], NDArray[Any]]:
    """Return ``x * sigmoid(slope * x)``: SiLU for a slope of 1."""
    return lambda x: x / (1 + np.exp(-slope * x))


def gelu(x: NDArray[np.float64]) -> NDArray[Any]:
    """Return ``x`` times the normal distribution's probability of less than ``x``."""
    errors: NDArray[Any] = np.vectorize(math.erf)(x / math.sqrt(2))
    return np.asarray(x * 0.5 * (1 + errors))


def gelu_by_tanh(x: NDArray[np.float64]) -> NDArray[Any]:
    """Return the approximation of ``gelu`` by a hyperbolic tangent."""
    return np.asarray(x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def hard_swish(x: NDArray[np.float64]) -> NDArray[Any]:
    """Return ``x * min(max(x + 3, 0), 6) / 6``."""
    return x * np.clip(x + 3, 0, 6) / 6


def broken_names(graph: Graph, names: Sequence[str], left: str) -> list[str]:
    """Return a sentence for each function of these names that is still there."""
    return [f"{function.name} {left}" for function in quantized_functions(graph) if function.name in names]


def on_every(
    known: Callable[[NDArray[np.float64]], NDArray[Any]], rewrite: Callable[[Graph, QuantizedFunction], None]
) -> Callable[[Graph], list[str]]:
    """Return an ``apply`` of a ``Rewrite`` that rewrites every quantized tensor's function that is the known one."""

    def apply(graph: Graph) -> list[str]:
        found = [function for function in quantized_functions(graph) if is_same(function.tried(graph), known)]
        for function in found:
            rewrite(graph, function)
        return [function.name for function in found]

    return apply


def still_in_float(graph: Graph, names: Sequence[str]) -> list[str]:
    """Return a sentence for each rewritten function that is there all the same."""
    return broken_names(graph, names, "is still computed in float")


def _same_type(one: Parameters, other: Parameters) -> bool:
    return one.zero_point.dtype == other.zero_point.dtype and one.zero_point.dtype.itemsize == 1
