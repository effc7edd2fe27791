"""Scale and zero point of a quantized tensor, and the nodes that carry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.graph.nodes import MICROSOFT, attribute
from quantize.graph.view import Graph
from quantize.grid.grid import Grid


@dataclass(frozen=True, eq=False)
class Parameters(Grid):
    """A grid that a graph holds as initializers.

    Attributes:
        scale_name: The initializer that holds the scale.
        zero_point_name: The initializer that holds the zero point.
    """

    scale_name: str = ""
    zero_point_name: str = ""


def parameters(graph: Graph, scale_name: str, zero_point_name: str, axis: int | None = None) -> Parameters | None:
    """Read parameters from initializers; None if they are not constant.

    One value in an array of any shape is per tensor. A missing zero point is zero, of type uint8.
    """
    scale = graph.constant(scale_name)
    if scale is None:
        return None
    zero_point = graph.constant(zero_point_name) if zero_point_name else np.zeros(scale.shape, np.uint8)
    if zero_point is None:
        return None
    if not zero_point_name:
        zero_point_name = graph.add_constant(f"{scale_name}_zero_point", zero_point)
    if scale.size == 1:
        scale_name, zero_point_name = graph.scalar(scale_name), graph.scalar(zero_point_name)
        return Parameters(scale.reshape(()), zero_point.reshape(()), None, scale_name, zero_point_name)
    return Parameters(scale, zero_point, axis, scale_name, zero_point_name)


def new_parameters(graph: Graph, hint: str, scale: Any, zero_point: NDArray[Any], axis: int | None) -> Parameters:
    """Add initializers for a scale and a zero point."""
    scales = np.asarray(scale, np.float32)
    scale_name = graph.add_constant(f"{hint}_scale", scales)
    zero_point_name = graph.add_constant(f"{hint}_zero_point", zero_point)
    return Parameters(scales, zero_point, axis, scale_name, zero_point_name)


def is_quantize(node: NodeProto | None) -> bool:
    """Return whether a node is a QuantizeLinear of the standard or onnxruntime's domain."""
    return node is not None and node.op_type == "QuantizeLinear" and node.domain in ("", MICROSOFT)


def is_dequantize(node: NodeProto | None) -> bool:
    """Return whether a node is a DequantizeLinear of the standard or onnxruntime's domain."""
    return node is not None and node.op_type == "DequantizeLinear" and node.domain in ("", MICROSOFT)


def node_parameters(graph: Graph, node: NodeProto) -> Parameters | None:
    """Read the parameters of a QuantizeLinear or DequantizeLinear; None if they are not constant or blocked."""
    if attribute(node, "block_size", 0):
        return None
    zero_point_name = node.input[2] if len(node.input) > 2 else ""
    if not zero_point_name and is_dequantize(node):
        integers = graph.constant(node.input[0])
        scale = graph.constant(node.input[1])
        if integers is not None and scale is not None:
            zero_point_name = graph.add_constant(f"{node.input[1]}_zero_point", np.zeros(scale.shape, integers.dtype))
            node.input.extend([zero_point_name] if len(node.input) == 2 else [])
    return parameters(graph, node.input[1], zero_point_name, attribute(node, "axis", 1))


def add_quantize(graph: Graph, values: str, by: Parameters, integers: str) -> NodeProto:
    """Add a QuantizeLinear from the tensor ``values`` to the tensor ``integers``."""
    inputs = [values, by.scale_name, by.zero_point_name]
    return graph.add("QuantizeLinear", inputs, [integers], name=f"{integers}_QuantizeLinear", axis=by.axis)


def add_dequantize(graph: Graph, integers: str, by: Parameters, values: str = "") -> str:
    """Add a DequantizeLinear of the tensor ``integers`` and return the name of its output."""
    output = values or graph.fresh(f"{integers}_dequantized")
    inputs = [integers, by.scale_name, by.zero_point_name]
    graph.add("DequantizeLinear", inputs, [output], name=f"{output}_DequantizeLinear", axis=by.axis)
    return output


def add_move(
    graph: Graph, op_type: str, value: str, by: Parameters, *, name: str, further: Sequence[str] = (), **attributes: Any
) -> str:
    """Add a moving operator with its QuantizeLinear and DequantizeLinear.

    Args:
        graph: In canonical form.
        op_type: The operator.
        value: The dequantized tensor that it reads.
        by: The parameters of that tensor, which are those of the result too.
        name: The node's name; its tensors are named after it.
        further: Further inputs of the operator.
        attributes: Its attributes.

    Returns:
        The name of the result, dequantized.
    """
    moved, integers = graph.fresh(f"{name}_float"), graph.fresh(name)
    graph.add(op_type, [value, *further], [moved], name=name, **attributes)
    add_quantize(graph, moved, by, integers)
    return add_dequantize(graph, integers, by, graph.fresh(f"{integers}_dequantized"))
