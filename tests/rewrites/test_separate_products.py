"""Queries, keys and values that one product gives become three, to the bit, and what only looks alike stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.view import Graph
from quantize.rewrites import apply_rewrites
from quantize.rewrites.early_selection import EARLY_SELECTION
from quantize.rewrites.separate_products import SEPARATE_PRODUCTS
from tests.rewrites.checks import apply, assert_declared, assert_untouched
from tests.rewrites.tokens import HEADS, TOKENS, WIDTH, Tokens

_DEPTH = WIDTH // HEADS
_AHEAD = (2, 0, 3, 1, 4)


def _parted(build: Tokens, x: str, *, sizes: tuple[int, ...] = (0, TOKENS, 3, HEADS, _DEPTH), perm=_AHEAD) -> str:
    return build.add("Transpose", build.add("Reshape", x, build.constant(np.array(sizes))), perm=perm)


def _gathered(build: Tokens, parted: str, places: tuple[int, ...] = (0, 1, 2)) -> list[str]:
    return [build.add("Gather", parted, build.constant(np.array(place)), axis=0) for place in places]


def _split(build: Tokens, parted: str) -> list[str]:
    parts = [f"{parted}_{at}" for at in range(3)]
    build.add("Split", parted, build.constant(np.array([1, 1, 1])), axis=0)
    build.nodes[-1].output[:] = parts
    return [build.add("Squeeze", part, build.constant(np.array([0]))) for part in parts]


def _attended(build: Tokens, q: str, k: str, v: str, *, integers: bool = False) -> str:
    k = build.add("Transpose", k, perm=(0, 1, 3, 2))
    q, k = (build.rounded(q), build.rounded(k)) if integers else (q, k)
    mixed = build.add("MatMul", build.add("Softmax", build.add("MatMul", q, k), axis=-1), v)
    joined = build.add("Transpose", mixed, perm=(0, 2, 1, 3))
    return build.rounded(build.add("Reshape", joined, build.constant(np.array([0, TOKENS, WIDTH]))))


def _attention(*, take: Any = _gathered, integers: bool = False, **settings: Any) -> tuple[Tokens, str]:
    build = Tokens(**settings)
    q, k, v = take(build, _parted(build, build.dense(build.norm(build.rounded("x")), 3 * WIDTH)))
    return build, build.dense(_attended(build, q, k, v, integers=integers), WIDTH)


def _columns_of_products(model: ModelProto) -> list[Any]:
    """Return how many columns each product with constant weights has, in the order of the nodes."""
    graph = Graph(model)
    products = [node for node in graph.sorted_nodes() if node.op_type == "MatMul"]
    weights = [quantized_input(graph, node.input[1]) for node in products]
    constants = [graph.constant(given.integers) for given in weights if given is not None]
    return [values.shape[1] for values in constants if values is not None]


@pytest.mark.parametrize("take", [_gathered, _split])
@pytest.mark.parametrize("settings", [{}, {"batch": "N"}, {"opset": 13}, {"integers": True}])
def test_what_attention_takes_apart_is_made_apart_to_the_bit(take: Any, settings: dict[str, Any]) -> None:
    build, scores = _attention(take=take, **settings)
    source, feeds = build.model(scores), build.feeds()
    names, after = apply(SEPARATE_PRODUCTS, source)
    assert len(names) == 1
    assert _columns_of_products(source)[0] == 3 * WIDTH
    assert _columns_of_products(after)[:3] == [WIDTH] * 3
    assert not {"Gather", "Split", "Squeeze"} & {node.op_type for node in after.graph.node}
    assert_declared(SEPARATE_PRODUCTS, source, after, feeds)


def test_a_product_without_a_bias_is_parted_too() -> None:
    build = Tokens()
    build.dense(build.norm(build.rounded("x")), 3 * WIDTH)
    build.nodes.pop()  # the bias
    source = build.model(_attended(build, *_gathered(build, _parted(build, build.nodes[-1].output[0]))))
    names, after = apply(SEPARATE_PRODUCTS, source)
    assert len(names) == 1
    assert_declared(SEPARATE_PRODUCTS, source, after, build.feeds())


def test_a_part_that_nothing_takes_is_not_computed_and_one_taken_twice_once() -> None:
    build = Tokens()
    parts = _gathered(build, _parted(build, build.dense(build.norm(build.rounded("x")), 3 * WIDTH)), (0, 2, -1))
    source = build.model(_attended(build, *parts))
    names, after = apply(SEPARATE_PRODUCTS, source)
    assert len(names) == 1
    assert _columns_of_products(after) == [WIDTH] * 2
    assert_declared(SEPARATE_PRODUCTS, source, after, build.feeds())


def test_early_selection_then_takes_the_query_of_one_token_alone() -> None:
    build, scores = _attention(batch="N")
    token = build.add("Gather", build.norm(build.rounded(scores)), build.constant(np.array(0)), axis=1)
    source, feeds = build.model(build.dense(token, 5)), build.feeds()
    after = apply_rewrites(source, [SEPARATE_PRODUCTS.name, EARLY_SELECTION.name])
    graph = Graph(after)
    shapes = graph.shapes()
    products = [node for node in graph.sorted_nodes() if "_part_" in node.name and node.op_type == "MatMul"]
    assert sorted(shapes[node.output[0]][-2] for node in products) == [1, TOKENS, TOKENS]
    assert_declared(EARLY_SELECTION, source, after, feeds)


def _of_another_axis(build: Tokens, x: str) -> list[str]:
    return _gathered(build, _parted(build, x, perm=(1, 0, 2, 3, 4)))


def _of_columns_taken_in_turns(build: Tokens, x: str) -> list[str]:
    return _gathered(build, _parted(build, x, sizes=(0, TOKENS, HEADS, _DEPTH, 3), perm=(4, 0, 2, 1, 3)))


def _of_rows_and_columns(build: Tokens, x: str) -> list[str]:
    return _gathered(build, _parted(build, x, sizes=(0, 3, TOKENS, HEADS, _DEPTH), perm=(1, 0, 3, 2, 4)))


def _read_whole_too(build: Tokens, x: str) -> list[str]:
    parted = _parted(build, x)
    return [*_gathered(build, parted), build.add("ReduceMean", parted, axes=[-1])]


def _of_several_places(build: Tokens, x: str) -> list[str]:
    return [build.add("Gather", _parted(build, x), build.constant(np.array([0, 2])), axis=0)]


@pytest.mark.parametrize(
    "take", [_of_another_axis, _of_columns_taken_in_turns, _of_rows_and_columns, _read_whole_too, _of_several_places]
)
def test_what_only_looks_alike_is_left_alone(take: Any) -> None:
    build = Tokens()
    product = build.dense(build.norm(build.rounded("x")), 3 * WIDTH)
    assert_untouched(SEPARATE_PRODUCTS, build.model(*take(build, product)))


def test_a_product_that_is_read_whole_too_or_not_quantized_is_left_alone() -> None:
    build = Tokens()
    product = build.dense(build.norm(build.rounded("x")), 3 * WIDTH)
    parts = _gathered(build, _parted(build, product))
    assert_untouched(SEPARATE_PRODUCTS, build.model(*parts, product))
    build = Tokens()
    parts = _gathered(build, _parted(build, build.dense(build.add("Relu", "x"), 3 * WIDTH)))
    assert_untouched(SEPARATE_PRODUCTS, build.model(*parts))
