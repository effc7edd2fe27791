"""Small classifiers made of the blocks that today's architectures are made of, and images for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.data.batches import Batch

CLASSES = 6
IMAGES = np.random.default_rng(1).normal(0, 1, (16, 3, 16, 16)).astype(np.float32)
BATCHES = [Batch(tuple(map(str, range(16))), IMAGES, None)]

ACTIVATIONS = ("silu", "hard swish", "hard swish by clip", "gelu", "gelu by tanh", "mish")


class Net:
    """Adds nodes one after the other; each method returns the name of its result."""

    def __init__(self, opset: int = 17, seed: int = 0) -> None:
        self.opset, self.rng = opset, np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, values: Any) -> str:
        name = f"p{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def normal(self, *shape: int, scale: float = 1.0, around: float = 0.0) -> str:
        return self.constant(self.rng.normal(around, scale, shape).astype(np.float32))

    def number(self, value: float) -> str:
        return self.constant(np.float32(value))

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        number = len(self.nodes)
        output = f"t{number}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], f"{op_type}_{number}", **attributes))
        return output

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, group: int = 1) -> str:
        scale = 1.4 / np.sqrt(inputs // group * kernel**2)
        weights = self.normal(outputs, inputs // group, kernel, kernel, scale=float(scale))
        pads = [kernel // 2] * 4
        bias = self.normal(outputs, scale=0.2)
        return self.op(
            "Conv", x, weights, bias, kernel_shape=[kernel] * 2, strides=[stride] * 2, group=group, pads=pads
        )

    def norm(self, x: str, channels: int) -> str:
        parameters = [self.normal(channels, scale=0.2, around=mean) for mean in (1.0, 0.0, 0.0)]
        variance = self.constant(self.rng.uniform(0.5, 2, channels).astype(np.float32))
        return self.op("BatchNormalization", x, *parameters, variance)

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        product = self.op("MatMul", x, self.normal(inputs, outputs, scale=float(1 / np.sqrt(inputs))))
        return self.op("Add", product, self.normal(outputs, scale=0.2))

    def activation(self, x: str, kind: str) -> str:
        if kind == "silu":
            return self.op("Mul", x, self.op("Sigmoid", x))
        if kind == "hard swish":
            return self.op("Mul", x, self.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))
        if kind == "hard swish by clip":
            clipped = self.op("Clip", self.op("Add", x, self.number(3)), self.number(0), self.number(6))
            return self.op("Div", self.op("Mul", x, clipped), self.number(6))
        if kind in ("HardSwish", "Sigmoid"):
            return self.op(kind, x)
        if kind == "gelu":
            error = self.op("Erf", self.op("Div", x, self.number(np.sqrt(2))))
            return self.op("Mul", self.op("Mul", x, self.op("Add", error, self.number(1))), self.number(0.5))
        if kind == "gelu by tanh":
            cube = self.op("Mul", self.op("Pow", x, self.number(3)), self.number(0.044715))
            bent = self.op("Tanh", self.op("Mul", self.op("Add", x, cube), self.number(np.sqrt(2 / np.pi))))
            half = self.op("Mul", x, self.number(0.5))
            return self.op("Mul", half, self.op("Add", bent, self.number(1)))
        if kind == "mish":
            return self.op("Mul", x, self.op("Tanh", self.op("Softplus", x)))
        return self.op("Relu", x)

    def layer_norm(self, x: str, size: int) -> str:
        scale, shift = self.normal(size, scale=0.2, around=1.0), self.normal(size, scale=0.2)
        if self.opset >= 17:
            return self.op("LayerNormalization", x, scale, shift, axis=-1)
        deviation = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1]))
        variance = self.op("ReduceMean", self.op("Pow", deviation, self.number(2)), axes=[-1])
        root = self.op("Sqrt", self.op("Add", variance, self.number(1e-5)))
        return self.op("Add", self.op("Mul", self.op("Div", deviation, root), scale), shift)

    def pooled(self, x: str, channels: int) -> ModelProto:
        """Return the classifier with a pool and a Gemm behind ``x``, (N, channels, H, W)."""
        flat = self.op("Flatten", self.op("GlobalAveragePool", x), axis=1)
        return self.scored(flat, channels)

    def scored(self, x: str, features: int) -> ModelProto:
        """Return the classifier with a Gemm behind ``x``, (N, features)."""
        weights = self.normal(CLASSES, features, scale=float(3 / np.sqrt(features)))
        scores = self.op("Gemm", x, weights, self.normal(CLASSES), transB=1)
        graph = helper.make_graph(
            self.nodes,
            "blocks",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16])],
            [helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["N", CLASSES])],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def activated(kind: str, opset: int = 17) -> ModelProto:
    """Two Convs, depthwise and 1x1, with an activation behind each."""
    net = Net(opset)
    x = net.activation(net.conv("x", 3, 16, stride=2), kind)
    x = net.activation(net.conv(x, 16, 16, group=16), kind)
    return net.pooled(net.conv(x, 16, 24, 1), 24)


def squeezed(opset: int = 17, *, by: str = "GlobalAveragePool") -> ModelProto:
    """A squeeze-and-excitation block with SiLU, as EfficientNet has it."""
    net = Net(opset)
    x = net.activation(net.conv("x", 3, 16, stride=2), "silu")
    mean = net.op(by, x) if by == "GlobalAveragePool" else net.op("ReduceMean", x, axes=[2, 3], keepdims=1)
    gate = net.op("Sigmoid", net.conv(net.activation(net.conv(mean, 16, 4, 1), "silu"), 4, 16, 1))
    return net.pooled(net.conv(net.op("Mul", x, gate), 16, 24, 1), 24)


def residual(opset: int = 17) -> ModelProto:
    """A ResNet block."""
    net = Net(opset)
    x = net.op("Relu", net.conv("x", 3, 16, stride=2))
    inner = net.conv(net.op("Relu", net.conv(x, 16, 16)), 16, 16)
    return net.pooled(net.op("Relu", net.op("Add", inner, x)), 16)


def dense(opset: int = 17) -> ModelProto:
    """A DenseNet block: BatchNormalization and Relu before every Conv."""
    net = Net(opset)
    x, channels = net.op("Relu", net.conv("x", 3, 16, stride=2)), 16
    for _ in range(2):
        inner = net.conv(net.op("Relu", net.norm(x, channels)), channels, 16, 1)
        inner = net.conv(net.op("Relu", net.norm(inner, 16)), 16, 8)
        x, channels = net.op("Concat", x, inner, axis=1), channels + 8
    return net.pooled(net.op("Relu", net.norm(x, channels)), channels)


def transformer(opset: int = 17, *, size: int = 24, heads: int = 2) -> ModelProto:
    """Two ViT blocks on 16 patches."""
    net = Net(opset)
    patches = net.op("Conv", "x", net.normal(size, 3, 4, 4, scale=0.15), kernel_shape=[4, 4], strides=[4, 4])
    x = net.op("Reshape", patches, net.constant(np.array([0, size, 16])))
    x = net.op("Add", net.op("Transpose", x, perm=[0, 2, 1]), net.normal(1, 16, size))
    split, whole = (net.constant(np.array(shape)) for shape in ([0, 16, heads, size // heads], [0, 16, size]))
    for _ in range(2):
        y = net.layer_norm(x, size)
        q, k, v = (net.op("Reshape", net.linear(y, size, size), split) for _ in range(3))
        q, k, v = (net.op("Transpose", q, perm=[0, 2, 1, 3]), net.op("Transpose", k, perm=[0, 2, 3, 1]), v)
        weights = net.op("Mul", net.op("MatMul", q, k), net.number((size // heads) ** -0.5))
        weights = net.op("Softmax", weights, axis=-1)
        y = net.op("MatMul", weights, net.op("Transpose", v, perm=[0, 2, 1, 3]))
        y = net.op("Reshape", net.op("Transpose", y, perm=[0, 2, 1, 3]), whole)
        x = net.op("Add", x, net.linear(y, size, size))
        y = net.activation(net.linear(net.layer_norm(x, size), size, 4 * size), "gelu")
        x = net.op("Add", x, net.linear(y, 4 * size, size))
    x = net.op("Gather", net.layer_norm(x, size), net.constant(np.array(0)), axis=1)
    return net.scored(x, size)


def convnext(opset: int = 17) -> ModelProto:
    """Two ConvNeXt blocks: depthwise 7x7, then channels last."""
    net = Net(opset)
    x = net.conv("x", 3, 16, stride=2)
    for _ in range(2):
        y = net.op("Transpose", net.conv(x, 16, 16, 7, group=16), perm=[0, 2, 3, 1])
        y = net.activation(net.linear(net.layer_norm(y, 16), 16, 64), "gelu")
        y = net.op("Mul", net.linear(y, 64, 16), net.normal(16, scale=0.1, around=0.5))
        x = net.op("Add", x, net.op("Transpose", y, perm=[0, 3, 1, 2]))
    return net.pooled(x, 16)


def sqnr(reference: NDArray[np.float32], scores: NDArray[np.float32]) -> float:
    """Return the median over images of signal to noise, in dB."""
    signal, noise = (np.square(values.astype(np.float64)).sum(axis=1) for values in (reference, scores - reference))
    return float(np.median(10 * np.log10(signal / np.maximum(noise, 1e-30))))
