"""A model as the ops that a search places in int8 or fp32, each fused with the activation that follows it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import onnx
from onnx import TensorProto

from quantize.formats.float_reasons import float_reasons
from quantize.graph.nodes import ACTIVATIONS, MATRIX_PRODUCTS, reads
from quantize.graph.shapes import inferred_types

MOVING = frozenset(
    {"MaxPool", "Concat", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Slice"}
)
"""Ops that only move values: their output needs no rounding of its own where it shares the inputs' grid."""


@dataclass(frozen=True)
class FusedOp:
    """One op of the fp32 graph, with its Relu or Clip.

    Attributes:
        name: The op's name, as in a recipe's ``float_nodes``.
        op_type: The op's type.
        nodes: Positions in the graph of the op and of its activation, if any.
        node_names: Their names.
        inputs: The float tensors that other ops compute, or the image.
        output: The tensor behind the activation.
        moving: The op only moves values.
        has_constants: The op takes constants, such as weights.
    """

    name: str
    op_type: str
    nodes: tuple[int, ...]
    node_names: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    moving: bool
    has_constants: bool = False


@dataclass(frozen=True)
class OpGraph:
    """The ops of a model that can be quantized, and the tensors between them.

    An assignment is the set of names of the ops that stay in fp32, ``float_ops`` below.

    Attributes:
        ops: All ops that can be quantized, in the graph's order.
        image: The model's input tensor.
        scores: The model's output tensor.
        elements: Values of every float tensor for one image, where shapes tell; dynamic dimensions count as 1.
        float_tensors: Tensors with a consumer that is never quantized; the caller consumes the scores.
        free: Tensors that need no DequantizeLinear: scores that an integer Gemm gives in float32.
    """

    ops: tuple[FusedOp, ...]
    image: str
    scores: str
    elements: dict[str, int]
    float_tensors: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()

    @cached_property
    def producers(self) -> dict[str, FusedOp]:
        """The op that makes a tensor, by tensor."""
        return {op.output: op for op in self.ops}

    @cached_property
    def consumers(self) -> dict[str, tuple[FusedOp, ...]]:
        """The ops that take a tensor, by tensor."""
        consumers: dict[str, tuple[FusedOp, ...]] = {}
        for op in self.ops:
            for name in op.inputs:
                consumers[name] = (*consumers.get(name, ()), op)
        return consumers

    @property
    def tensors(self) -> tuple[str, ...]:
        """The image and every op's output: the tensors that may pass between fp32 and int8."""
        return (self.image, *(op.output for op in self.ops))

    def is_made_in_int8(self, tensor: str, float_ops: frozenset[str]) -> bool:
        """Return whether an int8 op makes a tensor."""
        producer = self.producers.get(tensor)
        return producer is not None and producer.name not in float_ops

    def is_taken_in_int8(self, tensor: str, float_ops: frozenset[str]) -> bool:
        """Return whether an int8 op takes a tensor."""
        return any(op.name not in float_ops for op in self.consumers.get(tensor, ()))

    def is_taken_in_fp32(self, tensor: str, float_ops: frozenset[str]) -> bool:
        """Return whether anything in fp32 takes a tensor."""
        return tensor in self.float_tensors or any(op.name in float_ops for op in self.consumers.get(tensor, ()))

    def dequantized_elements(self, tensor: str) -> int:
        """Return how many values a DequantizeLinear behind a tensor converts."""
        return 0 if tensor in self.free else self.elements[tensor]


def op_graph(model: onnx.ModelProto, op_types: Sequence[str]) -> OpGraph:
    """Return the ops of ``model`` whose type is one of ``op_types``, and which onnxruntime computes on integers."""
    constants = {tensor.name for tensor in model.graph.initializer}
    image = next(value.name for value in model.graph.input if value.name not in constants)
    elements = _float_elements(model)
    stay = float_reasons(model, op_types)
    uses = Counter(name for node in model.graph.node for name in reads(node))
    uses.update(value.name for value in model.graph.output)
    position_of = {name: index for index, node in enumerate(model.graph.node) for name in node.input[:1]}
    fused: set[int] = set()
    ops = []
    for index, node in enumerate(model.graph.node):
        if index in fused or node.op_type not in op_types or node.name in stay or node.output[0] not in elements:
            continue
        positions, output = [index], node.output[0]
        following = position_of.get(output)
        if (
            node.op_type not in ACTIVATIONS
            and uses[output] == 1
            and following is not None
            and model.graph.node[following].op_type in ACTIVATIONS
        ):
            positions.append(following)
            fused.add(following)
            output = model.graph.node[following].output[0]
        ops.append(
            FusedOp(
                name=node.name,
                op_type=node.op_type,
                nodes=tuple(positions),
                node_names=tuple(model.graph.node[position].name for position in positions),
                inputs=tuple(name for name in node.input if name in elements and name not in constants),
                output=output,
                moving=node.op_type in MOVING,
                has_constants=any(name in constants for name in node.input),
            )
        )
    scores = model.graph.output[0].name
    placed = {position for op in ops for position in op.nodes}
    taken = {name for index, node in enumerate(model.graph.node) if index not in placed for name in reads(node)}
    free = {op.output for op in ops if op.op_type in MATRIX_PRODUCTS and op.output == scores}
    return OpGraph(tuple(ops), image, scores, elements, frozenset(taken | {scores}), frozenset(free))


def head_ops(graph: OpGraph, weighted: Collection[str]) -> frozenset[str]:
    """Return the names of the ops behind the last layer with weights: cheap, and in int8 they make scores equal.

    Args:
        graph: The model.
        weighted: Names of the layers with weights.
    """
    head: set[str] = set()
    for op in reversed(graph.ops):
        if op.name not in weighted and all(consumer.name in head for consumer in graph.consumers.get(op.output, ())):
            head.add(op.name)
    return frozenset(head)


def head_inputs(graph: OpGraph, head: Collection[str]) -> frozenset[str]:
    """Return the tensors that the head takes from quantized ops."""
    taken = {name for op in graph.ops if op.name in head for name in op.inputs}
    return frozenset(taken - {op.output for op in graph.ops if op.name in head} - {graph.image})


def _float_elements(model: onnx.ModelProto) -> dict[str, int]:
    """Return the values of every float tensor for one image; 1 where nothing is known, as behind an If."""
    elements = {}
    for name, kind in inferred_types(model).items():
        tensor = kind.tensor_type
        if tensor.elem_type == TensorProto.FLOAT:
            elements[name] = math.prod(max(int(dim.dim_value), 1) for dim in list(tensor.shape.dim)[1:])
    return elements
