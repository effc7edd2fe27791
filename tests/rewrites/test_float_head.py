"""The operators after the last Conv: float scores, and the mean as a product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from quantize.rewrites.float_head import FLOAT_HEAD
from quantize.rewrites.mean_as_product import MEAN_AS_PRODUCT
from quantize.rewrites.protocol import Comparison, Movement, RatioInterval
from tests.formats.small_graphs import QLinearGraph, run
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, forms, integer_types


@st.composite
def heads(draw: st.DrawFn) -> tuple[ModelProto, Feeds]:
    """Draw a Conv with one of the heads that classifiers have, all of it quantized."""
    build = QLinearGraph(seed=draw(st.integers(0, 2**16)))
    x = build.quantized_input((draw(st.integers(1, 3)), 4, draw(st.integers(3, 7)), draw(st.integers(3, 7))))
    x = build.global_average_pool(build.conv(x, 12, relu=draw(st.booleans())))
    kind = draw(st.sampled_from(["scores of pixels", "gemm", "matmul and add"]))
    if kind != "scores of pixels":
        x = build.flatten(x)
        if kind == "gemm":
            x = build.gemm(x, 10, transposed=draw(st.booleans()))
        else:
            x = build.matmul(x, 10)
            bias = build.output((10,))
            build.initializers.append(numpy_helper.from_array(np.arange(10, dtype=np.uint8) * 20, bias.name))
            x = build.binary("Add", x, bias)
    if draw(st.booleans()):
        x = build.unary("Softmax", x, axis=1, opset=12)
    return build.model(x), build.images()


@given(heads())
@settings(deadline=None, max_examples=40)
def test_scores_are_float_and_integers_are_multiplied_still(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    names, after = apply(FLOAT_HEAD, source)
    assert names
    kinds = integer_types(after)
    assert not {"QLinearSoftmax", "MatMul", "Gemm"} & set(kinds)
    assert ("QGemm" in kinds) == ("QGemm" in integer_types(source) or "QLinearMatMul" in integer_types(source))
    assert_declared(FLOAT_HEAD, source, after, feeds)
    qlinear, qdq = forms(after)
    np.testing.assert_array_equal(run(qlinear, feeds)[0], run(qdq, feeds)[0])


@given(st.integers(0, 2**16), st.sampled_from(["gemm", "transposed gemm", "matmul and add"]))
@settings(deadline=None, max_examples=30)
def test_a_products_scores_move_by_the_rounding_that_is_gone_and_no_more(seed: int, kind: str) -> None:
    build = QLinearGraph(seed=seed)
    x = build.flatten(build.conv(build.quantized_input((3, 4, 5, 5)), 4))
    if kind == "matmul and add":
        product = build.matmul(x, 10)
        bias = build.output((10,))
        build.initializers.append(numpy_helper.from_array(np.arange(10, dtype=np.uint8) * 20, bias.name))
        made = build.binary("Add", product, bias)
        steps = product.scale + made.scale
    else:
        made = build.gemm(x, 10, transposed=kind == "transposed gemm")
        steps = made.scale
    source = build.model(made)
    _, after = apply(FLOAT_HEAD, source)
    low, high = (made.scale * (end - made.zero_point) for end in (0, 255))
    for old, new in zip(forms(source), forms(after), strict=True):
        before, rewritten = (run(model, build.images())[0] for model in (old, new))
        whole = (before > low + steps) & (before < high - steps)  # the ends were cut off
        assert whole.any()
        assert np.abs(rewritten - before)[whole].max() <= 0.501 * steps


def test_ties_that_quantized_scores_had_are_gone() -> None:
    build = QLinearGraph(seed=1)
    x = build.flatten(build.global_average_pool(build.conv(build.quantized_input((4, 4, 7, 7)), 12)))
    source = build.model(build.gemm(x, 600))
    _, after = apply(FLOAT_HEAD, source)
    before_values, after_values = (run(forms(model)[0], build.images())[0] for model in (source, after))
    assert max(len(np.unique(row)) for row in before_values) <= 256
    assert min(len(np.unique(row)) for row in after_values) > 550


@given(heads())
@settings(deadline=None, max_examples=30)
def test_a_mean_as_a_product_is_the_same_mean(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    _, free = apply(FLOAT_HEAD, source)
    names, after = apply(MEAN_AS_PRODUCT, free)
    assert bool(names) == ("GlobalAveragePool" in integer_types(free))
    if names:
        assert "MatMulIntegerToFloat" in integer_types(after)
    assert_declared(MEAN_AS_PRODUCT, free, after, feeds)


def test_a_relu_that_the_zero_point_stood_for_is_kept() -> None:
    build = QLinearGraph(seed=2)
    x = build.flatten(build.conv(build.quantized_input((2, 4, 5, 5)), 4, relu=True))
    source = build.model(build.gemm(x, 10))
    zero_points = [tensor for tensor in source.graph.initializer if tensor.name in source.graph.node[-1].input[2:]]
    for tensor in zero_points:
        tensor.CopyFrom(numpy_helper.from_array(np.uint8(0), tensor.name))
    zero = next(node for node in source.graph.node if node.op_type == "QGemm").input[8]
    next(t for t in source.graph.initializer if t.name == zero).CopyFrom(numpy_helper.from_array(np.uint8(0), zero))
    _, after = apply(FLOAT_HEAD, source)
    for model in forms(after):
        scores = run(model, build.images())[0]
        assert scores.min() == 0.0
        np.testing.assert_allclose(scores, run(source, build.images())[0], atol=x.reach / 20)


def test_a_conv_at_the_end_keeps_its_quantized_output() -> None:
    build = QLinearGraph()
    assert_untouched(FLOAT_HEAD, build.model(build.conv(build.quantized_input((1, 4, 6, 6)), 4)))


def test_a_quantized_mean_is_left_alone() -> None:
    build = QLinearGraph()
    x = build.global_average_pool(build.conv(build.quantized_input((1, 4, 6, 6)), 4))
    assert_untouched(MEAN_AS_PRODUCT, build.model(build.conv(x, 3, kernel=1)))


@pytest.mark.parametrize(
    ("low", "high", "ties_after", "kept"),
    [(0.99, 1.01, 0, True), (0.975, 0.981, 0, True), (0.95, 0.97, 0, False), (1.0, 1.1, 5, False)],
)
def test_it_is_kept_if_it_is_cheap_and_removes_ties(low: float, high: float, ties_after: int, kept: bool) -> None:
    moved = Movement(100, 0.1, 0.05, 0, 5, ties_after)
    speed = {"qlinear": RatioInterval(low, (low + high) / 2, high)}
    assert FLOAT_HEAD.pays(Comparison(speed, moved)) is kept
