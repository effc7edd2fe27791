"""A small quantized transformer of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from tests.rewrites.checks import Feeds

TOKENS, WIDTH, HEADS = 6, 8, 2


class Tokens:
    """Builds a quantized transformer of tokens (N, 6, 8)."""

    def __init__(self, opset: int = 17, batch: int | str = 2) -> None:
        self.random, self.opset, self.batch = np.random.default_rng(3), opset, batch
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        scale, zero = self.constant(np.float32(0.03)), self.constant(np.uint8(120))
        self.grid, self.weight_grid = (scale, zero), (self.constant(np.float32(0.02)), self.constant(np.int8(0)))

    def constant(self, values: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op_type}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [f"{name}:0"], name=name, **attributes))
        return f"{name}:0"

    def rounded(self, x: str) -> str:
        return self.add("DequantizeLinear", self.add("QuantizeLinear", x, *self.grid), *self.grid)

    def dense(self, x: str, outputs: int, inputs: int = WIDTH) -> str:
        weights = self.constant(self.random.integers(-127, 128, (inputs, outputs)).astype(np.int8))
        product = self.add("MatMul", x, self.add("DequantizeLinear", weights, *self.weight_grid))
        return self.add("Add", product, self.constant(self.random.standard_normal(outputs).astype(np.float32)))

    def norm(self, x: str) -> str:
        scale, shift = (self.constant(self.random.uniform(0.5, 1, WIDTH).astype(np.float32)) for _ in range(2))
        if self.opset >= 17:
            return self.rounded(self.add("LayerNormalization", x, scale, shift, axis=-1))
        centred = self.add("Sub", x, self.add("ReduceMean", x, axes=[-1]))
        square = self.add("Pow", centred, self.constant(np.float32(2)))
        spread = self.add("Add", self.add("ReduceMean", square, axes=[-1]), self.constant(np.float32(1e-5)))
        norm = self.add("Div", centred, self.add("Sqrt", spread))
        return self.rounded(self.add("Add", self.add("Mul", norm, scale), shift))

    def head(self, x: str, perm: tuple[int, ...]) -> str:
        shape = self.constant(np.array([0, TOKENS, HEADS, WIDTH // HEADS]))
        return self.rounded(self.add("Transpose", self.add("Reshape", x, shape), perm=perm))

    def block(self, x: str, *, rows: int = -1) -> str:
        tokens = self.norm(x)
        q, k, v = (self.dense(tokens, WIDTH) for _ in range(3))
        products = self.add("MatMul", self.head(q, (0, 2, 1, 3)), self.head(k, (0, 2, 3, 1)))
        attended = self.add("MatMul", self.add("Softmax", products, axis=-1), self.head(v, (0, 2, 1, 3)))
        shape = self.constant(np.array([0, rows, WIDTH]))
        joined = self.add("Reshape", self.add("Transpose", attended, perm=(0, 2, 1, 3)), shape)
        x = self.add("Add", x, self.dense(self.rounded(joined), WIDTH))
        inside = self.rounded(self.add("Relu", self.dense(self.norm(x), 2 * WIDTH)))
        return self.add("Add", x, self.dense(inside, WIDTH, 2 * WIDTH))

    def model(self, *outputs: str) -> ModelProto:
        given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.batch, TOKENS, WIDTH])]
        made = [helper.make_empty_tensor_value_info(name) for name in outputs]
        for value in made:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
        graph = helper.make_graph(self.nodes, "tokens", given, made, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return shape_inference.infer_shapes(model)

    def feeds(self) -> Feeds:
        return {"x": self.random.standard_normal((2, TOKENS, WIDTH)).astype(np.float32)}
