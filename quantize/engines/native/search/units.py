"""What is put on eight bits or left in fp32 as one piece: an op with the activation that follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from quantize.graph.nodes import ACTIVATIONS
from quantize.graph.shapes import inferred_types

MOVING = frozenset(
    {"MaxPool", "Concat", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Slice"}
)
"""Ops that only move values: their output needs no rounding of its own where it shares the inputs' grid."""


@dataclass(frozen=True)
class Unit:
    """One op of the fp32 graph, with its Relu or Clip.

    Attributes:
        name: The op's name, which a recipe's ``float_nodes`` holds.
        op_type: The op's type.
        nodes: Positions in the graph of the op and of its activation, if any.
        node_names: Their names.
        inputs: The float tensors that are computed by other units, or are the image.
        output: The tensor behind the activation.
        moving: The op only moves values.
        has_constants: The op takes constants: weights, for example.
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
class UnitGraph:
    """A model as units.

    Attributes:
        units: All units that can be quantized, in the graph's order.
        image: The model's input tensor.
        scores: The model's output tensor.
        elements: Values of every float tensor for one image, where shapes tell; dynamic dimensions count as 1.
    """

    units: tuple[Unit, ...]
    image: str
    scores: str
    elements: dict[str, int]

    @property
    def producers(self) -> dict[str, Unit]:
        """Return the unit that makes a tensor, by tensor."""
        return {unit.output: unit for unit in self.units}

    @property
    def consumers(self) -> dict[str, tuple[Unit, ...]]:
        """Return the units that take a tensor, by tensor."""
        found: dict[str, tuple[Unit, ...]] = {}
        for unit in self.units:
            for name in unit.inputs:
                found[name] = (*found.get(name, ()), unit)
        return found


def unit_graph(model: onnx.ModelProto, op_types: Sequence[str]) -> UnitGraph:
    """Return the units of ``model`` whose op type is one of ``op_types``."""
    constants = {tensor.name for tensor in model.graph.initializer}
    image = next(value.name for value in model.graph.input if value.name not in constants)
    elements = _float_elements(model)
    uses: dict[str, int] = {}
    for node in model.graph.node:
        for name in node.input:
            uses[name] = uses.get(name, 0) + 1
    for value in model.graph.output:
        uses[value.name] = uses.get(value.name, 0) + 1
    position_of = {name: index for index, node in enumerate(model.graph.node) for name in node.input[:1]}
    taken: set[int] = set()
    units = []
    for index, node in enumerate(model.graph.node):
        if index in taken or node.op_type not in op_types or node.output[0] not in elements:
            continue
        positions, output = [index], node.output[0]
        following = position_of.get(output)
        if (
            node.op_type not in ACTIVATIONS
            and uses.get(output) == 1
            and following is not None
            and model.graph.node[following].op_type in ACTIVATIONS
        ):
            positions.append(following)
            taken.add(following)
            output = model.graph.node[following].output[0]
        units.append(
            Unit(
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
    return UnitGraph(tuple(units), image, model.graph.output[0].name, elements)


def _float_elements(model: onnx.ModelProto) -> dict[str, int]:
    found = {}
    for name, kind in inferred_types(model).items():
        tensor = kind.tensor_type
        if tensor.elem_type != TensorProto.FLOAT or not tensor.HasField("shape"):
            continue
        size = 1
        for dim in list(tensor.shape.dim)[1:]:
            size *= max(int(dim.dim_value), 1)
        found[name] = size
    return found
