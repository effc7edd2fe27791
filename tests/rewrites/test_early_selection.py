"""One of many places is chosen as early as nothing but it is needed, and the scores stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from quantize.graph.view import Graph
from quantize.rewrites.early_selection import EARLY_SELECTION
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched

_TOKENS, _WIDTH, _HEADS = 6, 8, 2


class _Tokens:
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

    def dense(self, x: str, outputs: int, inputs: int = _WIDTH) -> str:
        weights = self.constant(self.random.integers(-127, 128, (inputs, outputs)).astype(np.int8))
        product = self.add("MatMul", x, self.add("DequantizeLinear", weights, *self.weight_grid))
        return self.add("Add", product, self.constant(self.random.standard_normal(outputs).astype(np.float32)))

    def norm(self, x: str) -> str:
        scale, shift = (self.constant(self.random.uniform(0.5, 1, _WIDTH).astype(np.float32)) for _ in range(2))
        if self.opset >= 17:
            return self.rounded(self.add("LayerNormalization", x, scale, shift, axis=-1))
        centred = self.add("Sub", x, self.add("ReduceMean", x, axes=[-1]))
        square = self.add("Pow", centred, self.constant(np.float32(2)))
        spread = self.add("Add", self.add("ReduceMean", square, axes=[-1]), self.constant(np.float32(1e-5)))
        norm = self.add("Div", centred, self.add("Sqrt", spread))
        return self.rounded(self.add("Add", self.add("Mul", norm, scale), shift))

    def head(self, x: str, perm: tuple[int, ...]) -> str:
        shape = self.constant(np.array([0, _TOKENS, _HEADS, _WIDTH // _HEADS]))
        return self.rounded(self.add("Transpose", self.add("Reshape", x, shape), perm=perm))

    def block(self, x: str, *, rows: int = -1) -> str:
        tokens = self.norm(x)
        q, k, v = (self.dense(tokens, _WIDTH) for _ in range(3))
        products = self.add("MatMul", self.head(q, (0, 2, 1, 3)), self.head(k, (0, 2, 3, 1)))
        attended = self.add("MatMul", self.add("Softmax", products, axis=-1), self.head(v, (0, 2, 1, 3)))
        shape = self.constant(np.array([0, rows, _WIDTH]))
        joined = self.add("Reshape", self.add("Transpose", attended, perm=(0, 2, 1, 3)), shape)
        x = self.add("Add", x, self.dense(self.rounded(joined), _WIDTH))
        inside = self.rounded(self.add("Relu", self.dense(self.norm(x), 2 * _WIDTH)))
        return self.add("Add", x, self.dense(inside, _WIDTH, 2 * _WIDTH))

    def model(self, *outputs: str) -> ModelProto:
        given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.batch, _TOKENS, _WIDTH])]
        made = [helper.make_empty_tensor_value_info(name) for name in outputs]
        for value in made:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
        graph = helper.make_graph(self.nodes, "tokens", given, made, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return shape_inference.infer_shapes(model)

    def feeds(self) -> Feeds:
        return {"x": self.random.standard_normal((2, _TOKENS, _WIDTH)).astype(np.float32)}


def _classifier(place: int = 0, rows: int = -1, **settings: Any) -> tuple[ModelProto, Feeds]:
    build = _Tokens(**settings)
    x = build.block(build.block(build.rounded("x")), rows=rows)
    token = build.add("Gather", build.norm(x), build.constant(np.array(place)), axis=1)
    return build.model(build.dense(token, 5)), build.feeds()


def _rows_of_products(model: ModelProto) -> list[Any]:
    """Return how many rows each product has, in the order of the nodes."""
    graph = Graph(model)
    shapes = graph.shapes()
    return [shapes[node.output[0]][-2] for node in graph.sorted_nodes() if node.op_type == "MatMul"]


@pytest.mark.parametrize("settings", [{}, {"place": -1}, {"rows": _TOKENS}, {"opset": 13}, {"batch": "N"}])
def test_the_last_block_computes_only_the_token_that_is_scored(settings: dict[str, Any]) -> None:
    source, feeds = _classifier(**settings)
    names, after = apply(EARLY_SELECTION, source)
    assert len(names) == 1
    # Of a block: query, key, value, their product, its product with the values, projection, both of the perceptron.
    assert _rows_of_products(source) == [_TOKENS] * 16 + [2 if settings.get("batch") != "N" else "N"]
    assert sorted(map(str, _rows_of_products(after)[8:16])) == ["1"] * 6 + ["6", "6"]
    assert_declared(EARLY_SELECTION, source, after, feeds)


def _of_all_tokens_too(build: _Tokens, x: str) -> list[str]:
    return [build.add("Gather", x, build.constant(np.array(0)), axis=1), build.add("ReduceMean", x, axes=[1])]


def _of_two_tokens(build: _Tokens, x: str) -> list[str]:
    return [build.add("Gather", x, build.constant(np.array([0, 1])), axis=1)]


def _of_one_image(build: _Tokens, x: str) -> list[str]:
    return [build.add("Gather", x, build.constant(np.array(0)), axis=0)]


def _of_one_feature(build: _Tokens, x: str) -> list[str]:
    return [build.add("Gather", build.add("Softmax", x, axis=2), build.constant(np.array(0)), axis=2)]


@pytest.mark.parametrize("choose", [_of_all_tokens_too, _of_two_tokens, _of_one_image, _of_one_feature])
def test_what_is_needed_whole_is_left_alone(choose: Callable[[_Tokens, str], list[str]]) -> None:
    build = _Tokens(batch="N")
    assert_untouched(EARLY_SELECTION, build.model(*choose(build, build.block(build.rounded("x")))))
