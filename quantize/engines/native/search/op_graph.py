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
from quantize.graph.nodes import ACTIVATIONS, MATRIX_PRODUCTS, NORMALIZING, WEIGHTED, reads
from quantize.graph.regions import is_function, regions
from quantize.graph.shapes import inferred_types
from quantize.graph.view import Graph

MOVING = frozenset(
    {"MaxPool", "Concat", "Reshape", "Flatten", "Transpose", "Split", "Squeeze", "Unsqueeze", "Identity", "Slice"}
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
        output: The tensor behind the activation; of several outputs the first, which stands for all of them.
        moving: The op only moves values.
        has_constants: The op takes constants, such as weights.
        function: The op is a function of one tensor, such as SiLU or HardSwish: in int8, what it takes and gives is on
            grids, but nothing inside it.
    """

    name: str
    op_type: str
    nodes: tuple[int, ...]
    node_names: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    moving: bool
    has_constants: bool = False
    function: bool = False


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
        free: Tensors that need no DequantizeLinear: what an integer Gemm or MatMul gives in float32.
        float_made: Tensors that are made by what is never quantized, and taken by ops.
    """

    ops: tuple[FusedOp, ...]
    image: str
    scores: str
    elements: dict[str, int]
    float_tensors: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    float_made: tuple[str, ...] = ()

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
        """The image, every op's output and what else ops take: the tensors that may pass between fp32 and int8."""
        return (self.image, *(op.output for op in self.ops), *self.float_made)

    def rounding(self, tensor: str) -> tuple[FusedOp, ...]:
        """Return the ops that put a tensor on its grid if they are in int8.

        A product can give its sums in float: then only another product asks for a grid.
        """
        producer, consumers = self.producers.get(tensor), self.consumers.get(tensor, ())
        if tensor in self.free:
            return tuple(op for op in consumers if not op.function)
        return (*([producer] if producer is not None else []), *consumers)

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
    """Return the ops of ``model`` whose type is one of ``op_types``, and which onnxruntime computes on integers.

    A function of one tensor is one op, of one node or of several, and so are a MatMul and the Add of its bias.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    image = next(value.name for value in model.graph.input if value.name not in constants)
    elements = _float_elements(model)
    stay = float_reasons(model, op_types)
    whole = _whole(model, elements)
    ops: list[FusedOp] = []
    groups = _groups(model, op_types, stay)
    for index in range(len(model.graph.node)):
        group = groups.get(index, _Group((index,)))
        first, last = (model.graph.node[group.nodes[at]] for at in (0, -1))
        own = last if group.function else first
        is_op = group.function or (own.op_type in op_types and own.name not in stay)
        if group.skipped or index != group.nodes[0] or not is_op or own.output[0] not in elements:
            continue
        ops.append(
            FusedOp(
                name=own.name,
                op_type=own.op_type,
                nodes=group.nodes,
                node_names=tuple(model.graph.node[position].name for position in group.nodes),
                inputs=tuple(
                    whole.get(name, name) for name in first.input if name in elements and name not in constants
                ),
                output=last.output[0],
                moving=own.op_type in MOVING,
                has_constants=any(name in constants for name in own.input),
                function=group.function,
            )
        )
    scores = model.graph.output[0].name
    placed = {position for op in ops for position in op.nodes}
    rest = [node for index, node in enumerate(model.graph.node) if index not in placed]
    taken = {whole.get(name, name) for node in rest for name in reads(node)}
    made = {name for node in rest for name in node.output if name in elements}
    return OpGraph(
        tuple(ops),
        image,
        scores,
        elements,
        float_tensors=frozenset(taken | {scores}),
        free=frozenset(op.output for op in ops if op.op_type in MATRIX_PRODUCTS and not _is_confined(model, op)),
        float_made=tuple(dict.fromkeys(name for op in ops for name in op.inputs if name in made)),
    )


def _whole(model: onnx.ModelProto, elements: Collection[str]) -> dict[str, str]:
    """Return what further outputs of a node, such as those of a Split, count as: its first one, which is the op's."""
    return {
        name: node.output[0]
        for node in model.graph.node
        if node.output and node.output[0] in elements
        for name in node.output[1:]
        if name in elements
    }


def _is_confined(model: onnx.ModelProto, op: FusedOp) -> bool:
    return model.graph.node[op.nodes[-1]].op_type in ACTIVATIONS


@dataclass(frozen=True)
class _Group:
    """Nodes that are placed together, by position; ``skipped``: never in int8."""

    nodes: tuple[int, ...]
    function: bool = False
    skipped: bool = False


def _groups(model: onnx.ModelProto, op_types: Sequence[str], stay: Collection[str]) -> dict[int, _Group]:
    """Return the group of every node that is not alone: regions, and ops with the Relu or Clip behind them."""
    groups: dict[int, _Group] = {}
    positions = {node.name: index for index, node in enumerate(model.graph.node)}
    for region in regions(Graph.of(model)):
        nodes = tuple(sorted(positions[node.name] for node in region.nodes))
        group = _Group(nodes, region.kind == "function", region.kind == "normalization")
        groups.update(dict.fromkeys(nodes, group))
    uses = Counter(name for node in model.graph.node for name in reads(node))
    uses.update(value.name for value in model.graph.output)
    position_of = {name: index for index, node in enumerate(model.graph.node) for name in node.input[:1]}
    for index, node in enumerate(model.graph.node):
        # Not one whose integers a quantizer computes, as a Sigmoid's: that is an op like any other.
        if index not in groups and is_function(node) and (node.name in stay or node.op_type not in op_types):
            groups[index] = _Group((index,), function=True)
        following = position_of.get(node.output[0])
        if index in groups or following is None or following in groups or uses[node.output[0]] != 1:
            continue
        is_op = node.op_type in op_types and node.name not in stay
        if is_op and node.op_type not in ACTIVATIONS and model.graph.node[following].op_type in ACTIVATIONS:
            groups.update(dict.fromkeys((index, following), _Group((index, following))))
    return groups


def head_ops(graph: OpGraph, weighted: Collection[str]) -> frozenset[str]:
    """Return the names of the ops that lead to no product: cheap, and in int8 they make scores equal.

    They are those behind the last layer with weights, every Softmax (of attention, too: eight bits are few for
    exponentials), what scales its input, and the sums that only a normalization in fp32 takes.

    Args:
        graph: The model.
        weighted: Names of the layers with weights.
    """
    head: set[str] = set()
    for op in reversed(graph.ops):
        if op.name in weighted or op.op_type in WEIGHTED:
            continue
        if op.op_type in NORMALIZING or all(taker.name in head for taker in graph.consumers.get(op.output, ())):
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
