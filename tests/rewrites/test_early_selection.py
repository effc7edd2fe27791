"""One of many places is chosen as early as nothing but it is needed, and the scores stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from quantize.graph.view import Graph
from quantize.rewrites.early_selection import EARLY_SELECTION
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched
from tests.rewrites.tokens import TOKENS, Tokens


def _classifier(place: int = 0, rows: int = -1, **settings: Any) -> tuple[ModelProto, Feeds]:
    build = Tokens(**settings)
    x = build.block(build.block(build.rounded("x")), rows=rows)
    token = build.add("Gather", build.norm(x), build.constant(np.array(place)), axis=1)
    return build.model(build.dense(token, 5)), build.feeds()


def _rows_of_products(model: ModelProto) -> list[Any]:
    """Return how many rows each product has, in the order of the nodes."""
    graph = Graph(model)
    shapes = graph.shapes()
    return [shapes[node.output[0]][-2] for node in graph.sorted_nodes() if node.op_type == "MatMul"]


@pytest.mark.parametrize("settings", [{}, {"place": -1}, {"rows": TOKENS}, {"opset": 13}, {"batch": "N"}])
def test_the_last_block_computes_only_the_token_that_is_scored(settings: dict[str, Any]) -> None:
    source, feeds = _classifier(**settings)
    names, after = apply(EARLY_SELECTION, source)
    assert len(names) == 1
    # Of a block: query, key, value, their product, its product with the values, projection, both of the perceptron.
    assert _rows_of_products(source) == [TOKENS] * 16 + [2 if settings.get("batch") != "N" else "N"]
    assert sorted(map(str, _rows_of_products(after)[8:16])) == ["1"] * 6 + ["6", "6"]
    assert_declared(EARLY_SELECTION, source, after, feeds)


def _of_all_tokens_too(build: Tokens, x: str) -> list[str]:
    return [build.add("Gather", x, build.constant(np.array(0)), axis=1), build.add("ReduceMean", x, axes=[1])]


def _of_two_tokens(build: Tokens, x: str) -> list[str]:
    return [build.add("Gather", x, build.constant(np.array([0, 1])), axis=1)]


def _of_one_image(build: Tokens, x: str) -> list[str]:
    return [build.add("Gather", x, build.constant(np.array(0)), axis=0)]


def _of_one_feature(build: Tokens, x: str) -> list[str]:
    return [build.add("Gather", build.add("Softmax", x, axis=2), build.constant(np.array(0)), axis=2)]


@pytest.mark.parametrize("choose", [_of_all_tokens_too, _of_two_tokens, _of_one_image, _of_one_feature])
def test_what_is_needed_whole_is_left_alone(choose: Callable[[Tokens, str], list[str]]) -> None:
    build = Tokens(batch="N")
    assert_untouched(EARLY_SELECTION, build.model(*choose(build, build.block(build.rounded("x")))))
