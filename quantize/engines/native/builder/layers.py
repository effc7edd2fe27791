"""Layers with weights, each viewed as a matrix of output channels by inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from quantize.calibration.layer_inputs import Window
from quantize.calibration.moment_pass import LARGEST
from quantize.graph.nodes import attribute, reads


@dataclass(frozen=True)
class Layer:
    """A Conv, Gemm or MatMul whose weights are constants that no other node uses.

    Attributes:
        node: The node's name.
        op_type: ``Conv``, ``Gemm`` or ``MatMul``.
        input: The tensor that the weights are applied to.
        output: The node's output.
        weight: Name of the weights' initializer.
        bias: Name of the bias' initializer, one value an output channel; None for any other bias, and for none.
        channel_axis: The axis of the weights' output channels.
        group: Groups of a Conv, else 1.
        kernel: The sizes of a Conv's kernel, else ().
    """

    node: str
    op_type: str
    input: str
    output: str
    weight: str
    bias: str | None
    channel_axis: int
    group: int
    kernel: tuple[int, ...] = ()

    def rows(self, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the weights as (output channels, inputs of one of them)."""
        return np.moveaxis(weights, self.channel_axis, 0).reshape(weights.shape[self.channel_axis], -1)

    def shaped(self, rows: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Return rows put back into the shape of the weights."""
        moved = (shape[self.channel_axis], *(size for axis, size in enumerate(shape) if axis != self.channel_axis))
        return np.ascontiguousarray(np.moveaxis(rows.reshape(moved), 0, self.channel_axis))


def layers(model: onnx.ModelProto) -> Iterator[Layer]:
    """Yield every layer of ``model`` with constant weights, in the graph's order."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    uses = Counter(name for node in model.graph.node for name in reads(node))
    for node in model.graph.node:
        axis = _channel_axis(node)
        if axis is None or len(node.input) < 2 or node.input[1] not in constants or node.input[0] in constants:
            continue
        if uses[node.input[1]] != 1 or len(constants[node.input[1]].dims) < 2:
            continue
        bias = str(node.input[2]) if len(node.input) > 2 else ""
        yield Layer(
            node=node.name,
            op_type=node.op_type,
            input=node.input[0],
            output=node.output[0],
            weight=node.input[1],
            bias=bias if uses[bias] == 1 and bias in constants and len(constants[bias].dims) == 1 else None,
            channel_axis=axis,
            group=attribute(node, "group", 1),
            kernel=tuple(constants[node.input[1]].dims[2:]) if node.op_type == "Conv" else (),
        )


def windows(model: onnx.ModelProto) -> Iterator[Window]:
    """Yield where the inputs of each layer's weights lie in its input tensor, for the layers' second moments.

    Left out are layers with too many inputs for a matrix of their products, and Convs that are not two-dimensional
    or whose padding depends on the image's size.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    for layer in layers(model):
        dims = list(constants[layer.weight].dims)
        if layer.op_type != "Conv":
            if len(dims) == 2 and (inputs := dims[1 - layer.channel_axis]) <= LARGEST:
                yield Window(node=layer.node, input=layer.input, group=1, inputs=inputs, kernel=None)
            continue
        node = nodes[layer.node]
        if len(dims) != 4 or (inputs := dims[1] * dims[2] * dims[3]) > LARGEST:
            continue
        if attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            continue
        yield Window(
            node=layer.node,
            input=layer.input,
            group=layer.group,
            inputs=inputs,
            kernel=(dims[2], dims[3]),
            strides=tuple(attribute(node, "strides", (1, 1))),
            pads=tuple(attribute(node, "pads", (0, 0, 0, 0))),
            dilations=tuple(attribute(node, "dilations", (1, 1))),
        )


def arrays(model: onnx.ModelProto) -> dict[str, npt.NDArray[np.float32]]:
    """Return all float32 initializers by name."""
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }


def _channel_axis(node: onnx.NodeProto) -> int | None:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm" and not attribute(node, "transA", 0):
        return 0 if attribute(node, "transB", 0) else 1
    return 1 if node.op_type == "MatMul" else None
