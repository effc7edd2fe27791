"""Small quantized graphs for tests: a builder of QLinear graphs, and a hypothesis strategy over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.formats.exact import with_unsigned_weights

MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Tensor:
    """A quantized tensor in a graph that is being built."""

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def reach(self) -> float:
        """Return the largest absolute value that it can hold."""
        return max(self.zero_point, 255 - self.zero_point) * self.scale


@dataclass
class QLinearGraph:
    """Builds a graph as Neural Compressor and onnxruntime write them; every method returns the tensor it makes."""

    seed: int = 0
    nodes: list[NodeProto] = field(default_factory=list)
    initializers: list[TensorProto] = field(default_factory=list)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self._count = 0

    def name(self, hint: str) -> str:
        self._count += 1
        return f"{hint}_{self._count}"

    def constant(self, values: Any, hint: str = "c") -> str:
        name = self.name(hint)
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def scales(self, tensor: Tensor) -> list[str]:
        return [self.constant(np.float32(tensor.scale), "scale"), self.constant(np.uint8(tensor.zero_point), "zero")]

    def triple(self, tensor: Tensor) -> list[str]:
        return [tensor.name, *self.scales(tensor)]

    def output(self, shape: tuple[int, ...], reach: float = 4.0, low: float | None = None) -> Tensor:
        """Return a tensor with a range of about [-reach, reach], or from ``low`` on."""
        low = -reach * float(self.random.uniform(0.8, 1)) if low is None else low
        scale = (reach - low) / 255
        return Tensor(self.name("q"), shape, float(np.float32(scale)), round(-low / scale))

    def add(self, op_type: str, inputs: list[str], output: str, *, domain: str = "", **attributes: Any) -> None:
        name = self.name(op_type)
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=name, domain=domain, **attributes))

    def quantized_input(self, shape: tuple[int, ...]) -> Tensor:
        name = self.name("x")
        self.inputs[name] = shape
        made = self.output(shape)
        self.add("QuantizeLinear", [name, *self.scales(made)], made.name)
        return made

    def conv(
        self,
        x: Tensor,
        channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        group: int = 1,
        per_channel: bool = True,
        bias: bool = True,
        relu: bool = False,
        made: Tensor | None = None,
        weight_zero: int = 0,
        weight_like: NodeProto | None = None,
        **attributes: Any,
    ) -> Tensor:
        inner = x.shape[1] // group
        weight = self.random.integers(-127, 128, (channels, inner, kernel, kernel)).astype(np.int8)
        count = channels if per_channel else 1
        spread = 1.0 / (127 * np.sqrt(inner * kernel * kernel))
        w_scale = self.random.uniform(0.5, 1.5, count).astype(np.float32) * np.float32(spread)
        w_zero = np.full(count, weight_zero, np.int8)
        sizes = [
            (x.shape[2 + a] + pads[a] + pads[2 + a] - kernel) // stride + 1
            if "auto_pad" not in attributes
            else -(-x.shape[2 + a] // stride)
            for a in (0, 1)
        ]
        made = made or self.output((x.shape[0], channels, *sizes), x.reach + 0.5, low=0.0 if relu else None)
        made = Tensor(made.name, (x.shape[0], channels, *sizes), made.scale, made.zero_point)
        inputs = [*self.triple(x), self.constant(weight, "w") if weight_like is None else weight_like.input[3]]
        inputs += [self.constant(w_scale if per_channel else w_scale[0], "ws")]
        inputs += [self.constant(w_zero if per_channel else w_zero[0], "wz"), *self.scales(made)]
        if bias:
            limit = max(int(0.5 / (x.scale * float(w_scale.max()))), 1)
            inputs.append(self.constant(self.random.integers(-limit, limit, channels).astype(np.int32), "b"))
        if "auto_pad" not in attributes:
            attributes["pads"] = list(pads)
        attributes |= {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "group": group}
        self.add("QLinearConv", inputs, made.name, **attributes)
        return made

    def unary(self, op_type: str, x: Tensor, shape: tuple[int, ...] | None = None, **attributes: Any) -> Tensor:
        low = 0.0 if op_type in ("Sigmoid", "Softmax") else None
        made = self.output(shape or x.shape, 1.0 if low == 0.0 else x.reach, low=low)
        inputs = [*self.triple(x), *self.scales(made)]
        self.add(f"QLinear{op_type}", inputs, made.name, domain=MICROSOFT, **attributes)
        return made

    def average_pool(self, x: Tensor, kernel: int = 2) -> Tensor:
        shape = (*x.shape[:2], x.shape[2] - kernel + 1, x.shape[3] - kernel + 1)
        return self.unary("AveragePool", x, shape, kernel_shape=[kernel, kernel], channels_last=0)

    def global_average_pool(self, x: Tensor) -> Tensor:
        return self.unary("GlobalAveragePool", x, (*x.shape[:2], 1, 1), channels_last=0)

    def binary(self, op_type: str, a: Tensor, b: Tensor) -> Tensor:
        made = self.output(a.shape, a.reach + b.reach if op_type == "Add" else a.reach * b.reach)
        inputs = [*self.triple(a), *self.triple(b), *self.scales(made)]
        self.add(f"QLinear{op_type}", inputs, made.name, domain=MICROSOFT)
        return made

    def concat(self, *pieces: Tensor, like: Tensor | None = None) -> Tensor:
        shape = (pieces[0].shape[0], sum(piece.shape[1] for piece in pieces), *pieces[0].shape[2:])
        low = min(-piece.zero_point * piece.scale for piece in pieces)
        high = max((255 - piece.zero_point) * piece.scale for piece in pieces)
        scale = float(np.float32((high - low) / 255))  # a calibrated Concat holds what flows into it
        made = Tensor(self.name("q"), shape, scale, min(max(round(-low / scale), 0), 255))
        if like is not None:
            made = Tensor(made.name, shape, like.scale, like.zero_point)
        inputs = self.scales(made) + [name for piece in pieces for name in self.triple(piece)]
        self.add("QLinearConcat", inputs, made.name, domain=MICROSOFT, axis=1)
        return made

    def moved(self, op_type: str, x: Tensor, shape: tuple[int, ...], *more: str, **attributes: Any) -> Tensor:
        made = Tensor(self.name("q"), shape, x.scale, x.zero_point)
        self.add(op_type, [x.name, *more], made.name, **attributes)
        return made

    def max_pool(self, x: Tensor, kernel: int = 2, stride: int = 1) -> Tensor:
        sizes = [(size - kernel) // stride + 1 for size in x.shape[2:]]
        attributes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride]}
        return self.moved("MaxPool", x, (*x.shape[:2], *sizes), **attributes)

    def transpose(self, x: Tensor) -> Tensor:
        return self.moved("Transpose", x, (x.shape[0], x.shape[1], x.shape[3], x.shape[2]), perm=[0, 1, 3, 2])

    def flatten(self, x: Tensor) -> Tensor:
        return self.moved("Flatten", x, (x.shape[0], int(np.prod(x.shape[1:]))), axis=1)

    def gemm(self, x: Tensor, outputs: int, *, float_output: bool = False, transposed: bool = True) -> Tensor:
        shape = (outputs, x.shape[1]) if transposed else (x.shape[1], outputs)
        weight = self.constant(self.random.integers(-127, 128, shape).astype(np.int8), "w")
        scale = (self.random.uniform(0.5, 1.5, outputs) / (127 * np.sqrt(x.shape[1]))).astype(np.float32)
        limit = max(int(0.5 / (x.scale * float(scale.max()))), 1)
        bias = self.constant(self.random.integers(-limit, limit, outputs).astype(np.int32), "b")
        made = self.output((x.shape[0], outputs), x.reach + 0.5)
        inputs = [*self.triple(x), weight, self.constant(scale, "ws"), self.constant(np.zeros(outputs, np.int8), "wz")]
        inputs += [bias] if float_output else [bias, *self.scales(made)]
        self.add("QGemm", inputs, made.name, domain=MICROSOFT, transB=int(transposed))
        return made

    def matmul(self, x: Tensor, outputs: int) -> Tensor:
        weight = self.constant(self.random.integers(-127, 128, (x.shape[-1], outputs)).astype(np.int8), "w")
        scale = (self.random.uniform(0.5, 1.5, outputs) / (127 * np.sqrt(x.shape[-1]))).astype(np.float32)
        made = self.output((*x.shape[:-1], outputs), x.reach + 0.5)
        inputs = [*self.triple(x), weight, self.constant(scale, "ws"), self.constant(np.zeros(outputs, np.int8), "wz")]
        self.add("QLinearMatMul", [*inputs, *self.scales(made)], made.name)
        return made

    def model(self, *outputs: Tensor, opset: int = 12, dequantized: bool = True) -> ModelProto:
        values = []
        for tensor in outputs:
            name = f"out_{tensor.name}" if dequantized else tensor.name
            if dequantized:
                self.add("DequantizeLinear", self.triple(tensor), name)
            values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(tensor.shape)))
        given = [helper.make_tensor_value_info(k, TensorProto.FLOAT, list(v)) for k, v in self.inputs.items()]
        graph = helper.make_graph(self.nodes, "small", given, values, self.initializers)
        imports = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=7)

    def images(self, seed: int = 0) -> dict[str, NDArray[np.float32]]:
        random = np.random.default_rng(seed)
        return {name: random.normal(0, 1.5, shape).astype(np.float32) for name, shape in self.inputs.items()}


def run(model: ModelProto, feeds: dict[str, NDArray[Any]], *, optimize: bool = True) -> list[NDArray[Any]]:
    """Return the outputs of a model on onnxruntime, one thread, computed without saturation on every CPU."""
    session = open_session(model, optimize=optimize)
    return list(session.run(None, feeds))


def with_output_shape(model: ModelProto, feeds: dict[str, NDArray[Any]]) -> ModelProto:
    """Declare the shapes of the outputs, which onnx.checker requires."""
    for value, array in zip(model.graph.output, run(model, feeds, optimize=False), strict=True):
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, list(array.shape)))
    return model


def open_session(
    model: ModelProto, *, optimize: bool = True, optimized: str = "", exact: bool = True
) -> onnxruntime.InferenceSession:
    """Return a session of one thread.

    Args:
        model: The model.
        optimize: Whether onnxruntime optimizes the graph.
        optimized: A file to write the optimized graph to.
        exact: Whether it computes without saturation, or as this CPU does.
    """
    model = with_unsigned_weights(model) if exact else model
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimized:
        options.optimized_model_filepath = optimized
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@st.composite
def qlinear_graphs(draw: st.DrawFn) -> tuple[ModelProto, dict[str, NDArray[np.float32]]]:
    """Draw a QLinear model of a few operators, and an input for it."""
    build = QLinearGraph(seed=draw(st.integers(0, 2**16)))
    batch = draw(st.sampled_from([1, 2]))
    size = draw(st.integers(6, 9))
    x = build.quantized_input((batch, draw(st.sampled_from([1, 3, 4])), size, size + draw(st.integers(0, 2))))
    for _ in range(draw(st.integers(1, 4))):
        x = _step(draw, build, x)
    head = draw(st.sampled_from(["none", "gap", "gemm", "matmul", "softmax"]))
    if head == "gap":
        x = build.global_average_pool(x)
    elif head != "none":
        x = build.flatten(x)
        if head == "softmax":
            x = build.unary("Softmax", build.gemm(x, 5), axis=1, opset=12)
        else:
            x = build.matmul(x, 5) if head == "matmul" else build.gemm(x, 5, transposed=draw(st.booleans()))
    return build.model(x), build.images()


def _step(draw: st.DrawFn, build: QLinearGraph, x: Tensor) -> Tensor:
    kinds = ["conv", "depthwise", "fire", "residual", "Sigmoid", "LeakyRelu", "transpose"]
    if min(x.shape[2:]) > 3:
        kinds += ["max_pool", "average_pool"]
    kind = draw(st.sampled_from(kinds))
    if kind == "conv":
        pad = draw(st.sampled_from([(0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 1, 1)]))
        kernel = draw(st.integers(1, 3)) if min(x.shape[2:]) > 3 else 1
        options: dict[str, Any] = {
            "per_channel": draw(st.booleans()),
            "bias": draw(st.booleans()),
            "relu": draw(st.booleans()),
        }
        stride = draw(st.sampled_from([1, 2])) if min(x.shape[2:]) > 5 else 1
        channels = draw(st.sampled_from([3, 4, 16]))
        return build.conv(x, channels, kernel=kernel, stride=stride, pads=pad, **options)
    if kind == "depthwise":
        return build.conv(x, x.shape[1], kernel=3, pads=(1, 1, 1, 1), group=x.shape[1])
    if kind == "fire":
        left = build.conv(x, 4, kernel=1, relu=True)
        right = build.conv(x, 3, kernel=3, pads=(1, 1, 1, 1), relu=True)
        return build.concat(left, right, like=left if draw(st.booleans()) else None)
    if kind == "residual":
        other = build.conv(x, x.shape[1], kernel=3, pads=(1, 1, 1, 1))
        return build.binary(draw(st.sampled_from(["Add", "Mul"])), x, other)
    if kind == "transpose":
        return build.transpose(x)
    if kind == "max_pool":
        return build.max_pool(x)
    if kind == "average_pool":
        return build.average_pool(x)
    leak: dict[str, Any] = {"alpha": 0.1} if kind == "LeakyRelu" else {}
    return build.unary(kind, x, **leak)
