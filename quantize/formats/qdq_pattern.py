"""The pattern that becomes one integer operator: DequantizeLinear on every input, the node, one QuantizeLinear.

A Relu or Clip may stand before the QuantizeLinear: implied by its range, or a Clip on the integers. Quantizing is
monotone, so clipping and then quantizing gives the integers that quantizing and then clipping to the quantized bounds
gives: nothing is rounded otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from quantize.formats.activation_bounds import Bounds, clip_bounds
from quantize.formats.kernels import has_kernel
from quantize.formats.parameters import Parameters, add_quantize, is_dequantize, is_quantize, node_parameters
from quantize.graph.nodes import MICROSOFT, moves_values
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
class QdqPattern:
    """A float node between quantized tensors.

    Attributes:
        node: The float node.
        inputs: One entry per input: the integers behind it and their parameters, or None if it is not dequantized.
        integers: The quantized output's name.
        by: The quantized output's parameters.
        bounds: What a Relu or Clip between the node and its QuantizeLinear confines the output to, if there is one.
        replaced: The nodes that the integer operator stands for.
        any_kernel: The integer operator may be one that this onnxruntime has no kernel for.
    """

    node: NodeProto
    inputs: tuple[QuantizedInput | None, ...]
    integers: str
    by: Parameters
    bounds: Bounds | None
    replaced: tuple[NodeProto, ...]
    any_kernel: bool = False

    def suits(self, operand: QuantizedInput) -> bool:
        """Return whether an input is quantized per tensor to the output's integer type."""
        return operand.by.axis is None and operand.by.zero_point.dtype == self.by.zero_point.dtype

    @property
    def names(self) -> list[str]:
        """Return the output's scale and zero point: the order in which integer operators take them."""
        return [self.by.scale_name, self.by.zero_point_name]

    @property
    def types(self) -> dict[str, int]:
        """Return the element type of each quantized input, by the name of its integers."""
        return element_types(self.inputs)


def element_types(operands: Sequence[QuantizedInput | None]) -> dict[str, int]:
    """Return the element type of each quantized input, by the name of its integers."""
    return {
        operand.integers: helper.np_dtype_to_tensor_dtype(operand.by.zero_point.dtype)
        for operand in operands
        if operand is not None
    }


def quantized_input(graph: Graph, name: str) -> QuantizedInput | None:
    """Return the integers behind a float tensor; None if no DequantizeLinear with known parameters makes it."""
    node = graph.producer(name)
    if node is None or not is_dequantize(node):
        return None
    by = node_parameters(graph, node)
    return QuantizedInput(node.input[0], by) if by is not None else None


def dequantize_behind(graph: Graph, name: str) -> NodeProto | None:
    """Return the DequantizeLinear that a float tensor comes from, through operators that only move its values."""
    node = graph.producer(name)
    while node is not None and moves_values(node):
        node = graph.producer(node.input[0])
    return node if node is not None and is_dequantize(node) else None


def quantizer(graph: Graph, name: str) -> NodeProto | None:
    """Return the QuantizeLinear behind a tensor that comes out of a DequantizeLinear; None if there is none."""
    dequantize = graph.producer(name)
    node = graph.producer(dequantize.input[0]) if dequantize is not None and is_dequantize(dequantize) else None
    return node if is_quantize(node) else None


def constant_integers(graph: Graph, name: str) -> tuple[QuantizedInput, NDArray[Any]] | None:
    """Return the integers behind a float tensor with their values, where they are constant."""
    source = quantized_input(graph, name)
    integers = graph.constant(source.integers) if source is not None else None
    return None if source is None or integers is None else (source, integers)


def constant_values(graph: Graph, name: str) -> NDArray[Any] | None:
    """Return the values of a constant float tensor, quantized or not."""
    source = quantized_input(graph, name)
    if source is None:
        return graph.constant(name)
    integers = graph.constant(source.integers)
    return None if integers is None else source.by.dequantize(integers)


def output_quantization(graph: Graph, name: str) -> tuple[NodeProto, Parameters] | None:
    """Return the one QuantizeLinear that reads a float tensor; None if anything else reads it too."""
    readers = graph.consumers(name)
    if graph.is_output(name) or len(readers) != 1 or not is_quantize(readers[0]):
        return None
    by = node_parameters(graph, readers[0])
    return (readers[0], by) if by is not None and by.axis is None else None


def qdq_pattern(graph: Graph, node: NodeProto, *, through_clip: bool = True) -> QdqPattern | None:
    """Return the pattern around a float node with one output; None if its output is not only quantized.

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
    quantization = output_quantization(graph, name)
    if quantization is None:
        return None
    quantize, by = quantization
    return QdqPattern(node, inputs, quantize.output[0], by, bounds, (node, *passed, quantize))


def replace_by_pattern(
    graph: Graph, node: NodeProto, op_type: str, inputs: Sequence[str], by: Parameters | None, **attributes: Any
) -> bool:
    """Replace an integer operator by a float one and QuantizeLinear, where its output is quantized at all; True."""
    output = graph.fresh(f"{node.output[0]}_float") if by is not None else node.output[0]
    graph.remove([node])
    graph.add(op_type, inputs, [output], name=node.name, **attributes)
    if by is not None:
        add_quantize(graph, output, by, node.output[0])
    return True


def replace_pattern(
    graph: Graph, pattern: QdqPattern, op_type: str, inputs: Sequence[str], domain: str = MICROSOFT, **attributes: Any
) -> bool:
    """Replace a pattern by an integer operator, with a Clip behind it where its bounds need one.

    Returns:
        Whether it did: not where this onnxruntime has no kernel for the operator.
    """
    # What is not quantized and not constant is the condition of a Where.
    types = dict.fromkeys(inputs, int(TensorProto.BOOL)) | pattern.types
    if not pattern.any_kernel and not has_kernel(graph, op_type, inputs, types, domain=domain, **attributes):
        return False
    graph.remove(pattern.replaced)
    output = clip_integers(graph, pattern.bounds, pattern.by, pattern.integers)
    graph.add(op_type, inputs, [output], name=pattern.node.name, domain=domain, **attributes)
    return True


def clip_integers(graph: Graph, bounds: Bounds | None, by: Parameters, integers: str) -> str:
    """Return where an integer operator writes so that ``integers`` comes out clipped, adding a Clip where needed."""
    if bounds is None or bounds.carried_by(by):
        return integers
    unclipped = graph.fresh(f"{integers}_unclipped")
    kind = by.zero_point.dtype
    low, high = (np.array(bound, kind) for bound in bounds.integers(by))
    names = [graph.add_constant(f"{integers}_{end}", bound) for end, bound in (("low", low), ("high", high))]
    graph.add("Clip", [unclipped, *names], [integers], name=f"{integers}_Clip")
    return unclipped
