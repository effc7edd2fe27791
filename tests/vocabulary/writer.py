"""Writes small fp32 classifiers node by node, for tests of what users' networks are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

CLASSES = 10


@dataclass(frozen=True)
class Maps:
    """A tensor (N, channels, side, side) of a graph that is being written."""

    name: str
    channels: int
    side: int


class Writer:
    """Writes a graph with one input (N, 3, side, side); every method returns the tensor that it makes.

    Weights have He's spread, so that values neither vanish nor explode with depth.
    """

    def __init__(
        self, *, side: int = 16, batch: int | str = "N", opset: int = 17, seed: int = 0, channels: int = 3
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.image = Maps("image", channels, side)
        self.batch, self.opset = batch, opset

    def name(self, hint: str) -> str:
        return f"{hint}_{len(self.nodes)}_{len(self.initializers)}"

    def constant(self, values: Any, hint: str = "constant") -> str:
        name = self.name(hint)
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def floats(self, values: Any) -> str:
        return self.constant(np.asarray(values, np.float32))

    def integers(self, values: Any) -> str:
        return self.constant(np.asarray(values, np.int64))

    def weights(self, *shape: int) -> npt.NDArray[np.float32]:
        """Return random weights whose first dimension is the output's channels."""
        spread = np.sqrt(2 / np.prod(shape[1:]))
        return (self.random.standard_normal(shape) * spread).astype(np.float32)

    def bias(self, channels: int, spread: float = 0.2) -> npt.NDArray[np.float32]:
        return (self.random.standard_normal(channels) * spread).astype(np.float32)

    def node(self, op_type: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output, and return that."""
        return self.split(op_type, *inputs, outputs=1, name=name, **attributes)[0]

    def split(self, op_type: str, *inputs: str, outputs: int, name: str | None = None, **attributes: Any) -> list[str]:
        """Add a node with several outputs, and return them."""
        made = [f"{self.name(op_type.lower())}_{number}" for number in range(outputs)]
        title = self.name(op_type) if name is None else name
        self.nodes.append(helper.make_node(op_type, list(inputs), made, title, **attributes))
        return made

    def on(self, x: Maps, op_type: str, *more: str, **attributes: Any) -> Maps:
        """Apply an operator that keeps the shape."""
        return replace(x, name=self.node(op_type, x.name, *more, **attributes))

    def conv(
        self,
        x: Maps,
        channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        group: int = 1,
        dilation: int = 1,
        weights: npt.NDArray[np.float32] | None = None,
        bias: npt.NDArray[np.float32] | None = None,
        biased: bool = True,
        **attributes: Any,
    ) -> Maps:
        if weights is None:
            weights = self.weights(channels, x.channels // group, kernel, kernel)
        inputs = [self.floats(weights)]
        if biased:
            inputs.append(self.floats(self.bias(channels) if bias is None else bias))
        if "auto_pad" not in attributes:
            attributes["pads"] = [dilation * (kernel // 2)] * 4
        attributes |= {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "dilations": [dilation] * 2}
        name = self.node("Conv", x.name, *inputs, group=group, **attributes)
        return Maps(name, channels, -(-x.side // stride))

    def relu(self, x: Maps) -> Maps:
        return self.on(x, "Relu")

    def clip(self, x: Maps, low: float | None, high: float | None) -> Maps:
        """Clip, with bounds as attributes before opset 11."""
        if self.opset < 11:
            bounds = {"min": low, "max": high}
            return self.on(x, "Clip", **{name: float(bound) for name, bound in bounds.items() if bound is not None})
        return self.on(x, "Clip", *("" if bound is None else self.floats(bound) for bound in (low, high)))

    def pool(self, x: Maps, op_type: str = "MaxPool", *, kernel: int = 2, stride: int = 2) -> Maps:
        name = self.node(op_type, x.name, kernel_shape=[kernel] * 2, strides=[stride] * 2)
        return Maps(name, x.channels, (x.side - kernel) // stride + 1)

    def concat(self, *pieces: Maps) -> Maps:
        name = self.node("Concat", *(piece.name for piece in pieces), axis=1)
        return Maps(name, sum(piece.channels for piece in pieces), pieces[0].side)

    def both(self, op_type: str, a: Maps, b: Maps) -> Maps:
        """Combine two tensors of one shape."""
        return replace(a, name=self.node(op_type, a.name, b.name))

    def stem(self, channels: int = 16) -> Maps:
        """Return a Conv of stride 2 and its Relu, on the image."""
        return self.relu(self.conv(self.image, channels, stride=2))

    def features(self, x: Maps) -> str:
        """Return the mean of each channel (N, channels)."""
        return self.node("Flatten", self.node("GlobalAveragePool", x.name), axis=1)

    def dense(self, x: str, inputs: int, outputs: int = CLASSES) -> str:
        weight = self.weights(outputs, inputs)
        return self.node("Gemm", x, self.floats(weight), self.floats(self.bias(outputs)), transB=1)

    def head(self, x: Maps) -> str:
        """Return ten scores of the channels' means."""
        return self.dense(self.features(x), x.channels)

    def model(self, scores: str, *, classes: int = CLASSES, ir: int = 8) -> ModelProto:
        """Return the model with these scores (N, classes)."""
        x = self.image
        given = helper.make_tensor_value_info(x.name, TensorProto.FLOAT, [self.batch, x.channels, x.side, x.side])
        result = helper.make_tensor_value_info(scores, TensorProto.FLOAT, [self.batch, classes])
        graph: GraphProto = helper.make_graph(self.nodes, "small", [given], [result], self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=ir)


def pictures(shape: Sequence[int], seed: int) -> npt.NDArray[np.float32]:
    """Return normalized pictures (N, C, H, W): each has its own colour, large patches and a little noise."""
    random = np.random.default_rng(seed)
    count, channels, height, width = shape
    patches = random.standard_normal((count, channels, 4, 4)).repeat(-(-height // 4), 2).repeat(-(-width // 4), 3)
    colour = random.standard_normal((count, channels, 1, 1))
    noise = random.standard_normal(tuple(shape))
    made: npt.NDArray[np.float32] = (patches[:, :, :height, :width] * 0.6 + colour * 0.9 + noise * 0.2).astype("f")
    return made
