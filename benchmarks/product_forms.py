"""What a transformer's products, and Convs with many weights, cost on this CPU in each form that onnxruntime has.

    python benchmarks/product_forms.py [--threads 1]

Microseconds of models of that layer alone, with the sizes of ViT-Tiny and ResNet: the median of blocks that take turns.
The attention is from the normalized tokens to what its projection reads, with random weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.graph.nodes import MICROSOFT
from quantize.models.session import open_session

BLOCKS, RUNS = 40, 8
TOKENS, HEADS, DEPTH = 197, 3, 64
X, Y = ["x_scale", "x_zero"], ["y_scale", "y_zero"]


class Layer:
    """Builds a model of one layer on bytes."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.nodes, self.random = shape, list[Any](), np.random.default_rng(0)
        self.constants: dict[str, Any] = {}
        for name, scale, zero in (("x", 0.02, 120), ("y", 0.05, 128)):
            self.constants |= {f"{name}_scale": np.float32(scale), f"{name}_zero": np.uint8(zero)}

    def constant(self, values: Any) -> str:
        """Add a constant and return its name."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def add(self, op_type: str, *inputs: str, domain: str = MICROSOFT, outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return its first output."""
        made = [f"{op_type}{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(op_type, inputs, made, domain=domain, **attributes))
        return made[0]

    def plain(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of the standard domain."""
        return self.add(op_type, *inputs, domain="", **attributes)

    def reshaped(self, x: str, *shape: int) -> str:
        """Add a Reshape."""
        return self.plain("Reshape", x, self.constant(np.array(shape)))

    def columns(self, inputs: int, outputs: int) -> list[str]:
        """Add weights, their scales and their zero points."""
        weights = self.random.integers(-127, 128, (inputs, outputs)).astype(np.int8)
        parts = (weights, np.full(outputs, 0.0005, np.float32), np.zeros(outputs, np.int8))
        return [self.constant(part) for part in parts]

    def product(self, x: str, inputs: int, outputs: int, *, own_bias: bool) -> str:
        """Add a product with float results and its bias."""
        weights, scale, zero = self.columns(inputs, outputs)
        bias = self.constant(self.random.standard_normal(outputs).astype(np.float32))
        integers = [x, weights, X[0], scale, X[1], zero]
        if own_bias:
            return self.add("MatMulIntegerToFloat", *integers, bias)
        return self.plain("Add", self.add("MatMulIntegerToFloat", *integers), bias)

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 1) -> str:
        """Add a Conv on bytes, channels last."""
        weights = self.random.integers(-127, 128, (outputs, inputs, kernel, kernel)).astype(np.int8)
        parts = (weights, np.full(outputs, 0.0005, np.float32), np.zeros(outputs, np.int8))
        names, bias = [self.constant(part) for part in parts], self.constant(np.zeros(outputs, np.int32))
        sizes: dict[str, Any] = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4}
        return self.add("QLinearConv", x, *X, *names, *Y, bias, channels_last=1, **sizes)

    def model(self, output: str) -> ModelProto:
        """Return the model of what was added."""
        given = helper.make_tensor_value_info("x", TensorProto.UINT8, self.shape)
        made = helper.make_empty_tensor_value_info(output)
        constants = [numpy_helper.from_array(np.asarray(values), name) for name, values in self.constants.items()]
        graph = helper.make_graph(self.nodes, "layer", [given], [made], constants)
        imports = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=9)


def products(inputs: int, outputs: int) -> Iterator[tuple[str, Layer, str]]:
    """Yield the forms of a product of all tokens with its bias."""
    for form in ("product and Add", "product with bias", "QGemm", "QGemm to bytes", "Conv to bytes"):
        layer = Layer(1, TOKENS, inputs)
        if form.startswith("product"):
            yield form, layer, layer.product("x", inputs, outputs, own_bias=form.endswith("bias"))
        elif form.startswith("QGemm"):
            ends = Y if form.endswith("bytes") else []
            rows, bias = layer.reshaped("x", TOKENS, inputs), layer.constant(np.zeros(outputs, np.int32))
            yield form, layer, layer.add("QGemm", rows, *X, *layer.columns(inputs, outputs), bias, *ends)
        else:
            yield form, layer, layer.conv(layer.reshaped("x", 1, TOKENS, 1, inputs), inputs, outputs)


ATTENTIONS = (
    *("one product", "one product, float", "three products", "three products, float"),
    *("MultiHeadAttention", "QAttention", "three Convs"),
)


def attentions() -> Iterator[tuple[str, Layer, str]]:
    """Yield the forms of an attention, its query scaled by the weights."""
    width = HEADS * DEPTH
    for form in ATTENTIONS:
        layer = Layer(1, TOKENS, width)
        if form == "QAttention":
            weights, scale, zero = layer.columns(width, 3 * width)
            bias = layer.constant(layer.random.standard_normal(3 * width).astype(np.float32))
            mixed = layer.add(form, "x", weights, bias, X[0], scale, "", X[1], zero, num_heads=HEADS, scale=1.0)
            yield form, layer, layer.plain("QuantizeLinear", mixed, *Y)
            continue
        if form.startswith("one product"):
            rows = layer.reshaped(layer.product("x", width, 3 * width, own_bias=True), 1, TOKENS, 3, HEADS, DEPTH)
            planes = layer.plain("Transpose", rows, perm=[2, 0, 3, 1, 4])
            q, k, v = (layer.plain("Gather", planes, layer.constant(np.array(part))) for part in range(3))
            k, integers = layer.plain("Transpose", k, perm=[0, 1, 3, 2]), not form.endswith("float")
            if integers:
                q, k = (layer.plain("QuantizeLinear", one, *Y) for one in (q, k))
            yield form, layer, _attended(layer, q, k, v, integers=integers)
            continue
        if form == "three Convs":
            rows = layer.reshaped("x", 1, TOKENS, 1, width)
            parts = [layer.conv(rows, width, width) for _ in range(3)]
        else:
            parts = [layer.product("x", width, width, own_bias=True) for _ in range(3)]
        if form == "MultiHeadAttention":
            yield form, layer, layer.plain("QuantizeLinear", layer.add(form, *parts, num_heads=HEADS), *Y)
            continue
        parts = [layer.reshaped(part, 1, TOKENS, HEADS, DEPTH) for part in parts]
        if form == "three products":
            parts[:2] = [layer.plain("QuantizeLinear", part, *Y) for part in parts[:2]]
        turns = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        q, k, v = (layer.plain("Transpose", part, perm=turn) for part, turn in zip(parts, turns, strict=True))
        if form == "three Convs":
            v = layer.plain("DequantizeLinear", v, *Y)
        yield form, layer, _attended(layer, q, k, v, integers=not form.endswith("float"))


def _attended(layer: Layer, q: str, k: str, v: str, *, integers: bool) -> str:
    both = layer.add("MatMulIntegerToFloat", q, k, Y[0], Y[0], Y[1], Y[1]) if integers else layer.plain("MatMul", q, k)
    mixed = layer.plain("MatMul", layer.plain("Softmax", both, axis=-1), v)
    turned = layer.plain("Transpose", layer.plain("QuantizeLinear", mixed, *Y), perm=[0, 2, 1, 3])
    return layer.reshaped(turned, 1, TOKENS, HEADS * DEPTH)


def convs(channels: int, side: int, kernel: int) -> Iterator[tuple[str, Layer, str]]:
    """Yield a Conv, and its outputs in parts."""
    for count in (1, 2, 4):
        layer = Layer(1, side, side, channels)
        parts = [layer.conv("x", channels, channels // count, kernel) for _ in range(count)]
        joined = parts[0] if count == 1 else layer.plain("Concat", *parts, axis=3)
        yield f"in {count}" if count > 1 else "whole", layer, joined


def residuals(channels: int, side: int) -> Iterator[tuple[str, Layer, str]]:
    """Yield a bottleneck's first and last 1x1 Conv and the sum with its shortcut, of four times the channels."""
    for form in ("Convs and QLinearAdd", "shortcut among the last Conv's channels", "Convs alone"):
        layer = Layer(1, side, side, 4 * channels)
        narrow = layer.conv("x", 4 * channels, channels)
        if form.startswith("shortcut"):
            both = layer.plain("Concat", narrow, "x", axis=3)
            yield form, layer, layer.conv(both, 5 * channels, 4 * channels)
            continue
        wide = layer.conv(narrow, channels, 4 * channels)
        yield form, layer, wide if form.endswith("alone") else layer.add("QLinearAdd", wide, *Y, "x", *X, *Y)


def medians(forms: Sequence[tuple[str, Layer, str]], threads: int) -> dict[str, float]:
    """Return the microseconds of each form."""
    sessions = {name: open_session(layer.model(out).SerializeToString(), threads=threads) for name, layer, out in forms}
    values = np.random.default_rng(0).integers(0, 256, forms[0][1].shape).astype(np.uint8)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(BLOCKS):
        for name, session in sessions.items():
            session.run(None, {"x": values})
            start = perf_counter_ns()
            for _ in range(RUNS):
                session.run(None, {"x": values})
            times[name].append((perf_counter_ns() - start) / RUNS / 1e3)
    return {name: float(np.median(taken)) for name, taken in times.items()}


def main() -> int:
    """Print a line for each layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    layers = {f"product {i} to {o}": list(products(i, o)) for i, o in ((192, 576), (192, 192), (192, 768), (768, 192))}
    layers |= {"attention": list(attentions())}
    layers |= {
        f"Conv {k}x{k}, {c} channels of {s}x{s}": list(convs(c, s, k)) for c, s, k in ((512, 7, 3), (256, 14, 3))
    }
    layers |= {f"bottleneck of {c} channels of {s}x{s}": list(residuals(c, s)) for c, s in ((64, 56), (256, 14))}
    for layer, forms in layers.items():
        said = ", ".join(f"{name} {taken:.0f}" for name, taken in medians(forms, threads).items())
        sys.stdout.write(f"{layer}: {said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
