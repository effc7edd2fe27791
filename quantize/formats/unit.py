"""The pattern that becomes one integer operator: DequantizeLinear on every input, the node, one QuantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto

from quantize.formats.clipping import Bounds, clip_bounds
from quantize.formats.parameters import Parameters, is_dequantize, is_quantize, node_parameters
from quantize.graph.view import Graph


@dataclass(frozen=True)
class QuantizedInput:
    """An input of a float node that comes out of a DequantizeLinear."""

    integers: str
    by: Parameters

    @property
    def names(self) -> list[str]:
        """Return the tensor, its scale and its zero point: the order in which integer operators take them."""
        return [self.integers, self.by.scale_name, self.by.zero_point_name]


@dataclass(frozen=True)
class Unit:
    """A float node between quantized tensors.

    Attributes:
        node: The float node.
        inputs: One entry an input: the integers behind it and their parameters, or None where it is not dequantized.
        integers: The quantized output's name.
        by: The quantized output's parameters.
        bounds: What a Relu or Clip between the node and its QuantizeLinear confines the output to, if there is one.
        replaced: The nodes that the integer operator stands for.
    """

    node: NodeProto
    inputs: tuple[QuantizedInput | None, ...]
    integers: str
    by: Parameters
    bounds: Bounds | None
    replaced: tuple[NodeProto, ...]


def quantized_input(graph: Graph, name: str) -> QuantizedInput | None:
    """Return the integers behind a float tensor; None where no DequantizeLinear with known parameters makes it."""
    node = graph.producer(name)
    if node is None or not is_dequantize(node):
        return None
    by = node_parameters(graph, node)
    return QuantizedInput(node.input[0], by) if by is not None else None


def output_quantization(graph: Graph, name: str) -> tuple[NodeProto, Parameters] | None:
    """Return the one QuantizeLinear that reads a float tensor; None where anything else reads it too."""
    readers = graph.consumers(name)
    if graph.is_output(name) or len(readers) != 1 or not is_quantize(readers[0]):
        return None
    by = node_parameters(graph, readers[0])
    return (readers[0], by) if by is not None and by.axis is None else None


def unit_of(graph: Graph, node: NodeProto, *, through_clip: bool = True) -> Unit | None:
    """Return the pattern around a float node with one output; None where its output is not only quantized.

    Duplicate QuantizeLinear nodes of one tensor must have been merged before.

    Args:
        graph: The graph in its QDQ form.
        node: The float node.
        through_clip: Also look through one Relu or Clip between the node and the QuantizeLinear.
    """
    if len([name for name in node.output if name]) != 1:
        return None
    inputs = tuple(quantized_input(graph, name) if name else None for name in node.input)
    name, bounds, passed = node.output[0], None, []
    readers = graph.consumers(name)
    if through_clip and len(readers) == 1 and not graph.is_output(name):
        bounds = clip_bounds(graph, readers[0])
        if bounds is not None:
            passed = [readers[0]]
            name = readers[0].output[0]
    found = output_quantization(graph, name)
    if found is None:
        return None
    quantize, by = found
    return Unit(node, inputs, quantize.output[0], by, bounds, (node, *passed, quantize))
