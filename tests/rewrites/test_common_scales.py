"""One scale for a Concat and everything that flows into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper

from quantize.formats import to_qlinear
from quantize.rewrites.common_scales import COMMON_SCALES
from tests.formats.small_graphs import QLinearGraph, Tensor, qlinear_graphs, run
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, forms, integer_types


@st.composite
def concats(draw: st.DrawFn) -> tuple[ModelProto, Feeds]:
    """Draw branches through moving operators into chained Concats that share tensors."""
    build = QLinearGraph(seed=draw(st.integers(0, 2**16)))
    x = build.quantized_input((draw(st.integers(1, 2)), 4, 6, draw(st.integers(6, 8))))
    trunk = build.conv(x, 4, relu=draw(st.booleans()), pads=(1, 1, 1, 1))
    pieces = [trunk]
    for _ in range(draw(st.integers(1, 3))):
        branch = build.conv(draw(st.sampled_from(pieces)), draw(st.integers(1, 5)), pads=(1, 1, 1, 1))
        pieces.append(build.transpose(build.transpose(branch)) if draw(st.booleans()) else branch)
    joined = build.concat(*pieces[draw(st.integers(0, len(pieces) - 2)) :])
    if draw(st.booleans()):
        joined = build.max_pool(joined)
        pieces = [build.max_pool(piece) for piece in pieces]
    if draw(st.booleans()):
        joined = build.concat(joined, draw(st.sampled_from(pieces)))
    y = build.conv(joined, 8, kernel=draw(st.sampled_from([1, 3])))
    if draw(st.booleans()):
        y = build.gemm(build.flatten(build.global_average_pool(y)), 10)
    return build.model(y), build.images()


@given(concats())
@settings(deadline=None, max_examples=40)
def test_scores_move_by_rounding_and_concats_copy_bytes(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    names, after = apply(COMMON_SCALES, source)
    assert names
    assert "QLinearConcat" not in integer_types(after)
    assert "Concat" in integer_types(after)
    assert_declared(COMMON_SCALES, source, after, feeds)
    qlinear, qdq = forms(after)
    np.testing.assert_array_equal(run(qlinear, feeds)[0], run(qdq, feeds)[0])


@given(qlinear_graphs())
@settings(deadline=None, max_examples=30)
def test_any_graph_stays_within_the_declaration(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    _, after = apply(COMMON_SCALES, source)
    assert_declared(COMMON_SCALES, source, after, feeds)


def _fire(build: QLinearGraph, left_reach: float, right_reach: float, reach: float) -> tuple[ModelProto, list[Tensor]]:
    x = build.quantized_input((1, 4, 6, 6))
    tensors = [Tensor(build.name("q"), (), float(np.float32(r / 255)), 0) for r in (left_reach, right_reach, reach)]
    left = build.conv(x, 16, kernel=1, made=tensors[0])
    right = build.conv(x, 16, pads=(1, 1, 1, 1), made=tensors[1])
    joined = build.concat(left, right, like=tensors[2])
    return build.model(joined), [left, right, joined]


def test_the_concats_own_scale_is_taken_if_it_holds_every_input() -> None:
    build = QLinearGraph()
    source, _ = _fire(build, 2.0, 3.0, 3.0)
    _, after = apply(COMMON_SCALES, source)
    qlinear = to_qlinear(after)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in qlinear.graph.initializer}
    scales = [float(arrays[node.input[6]]) for node in qlinear.graph.node if node.op_type == "QLinearConv"]
    assert scales == [pytest.approx(3.0 / 255)] * 2


def test_values_lose_no_more_than_one_rounding() -> None:
    build = QLinearGraph()
    source, _ = _fire(build, 2.0, 3.0, 3.0)
    _, after = apply(COMMON_SCALES, source)
    images = build.images()
    before, rounded = run(source, images)[0], run(to_qlinear(after), images)[0]
    steps = np.abs(rounded - before)[before < 1.99] * 255 / 3.0  # what the narrower range cut off is whole again
    assert steps.max() <= 1.001


def test_a_relu_that_a_zero_point_stood_for_is_kept() -> None:
    build = QLinearGraph()
    x = build.quantized_input((1, 4, 6, 6))
    joined = build.concat(build.conv(x, 4, kernel=1, relu=True), build.conv(x, 4, kernel=1))
    source = build.model(build.conv(joined, 8, kernel=1))
    _, after = apply(COMMON_SCALES, source)
    qlinear, qdq = forms(after)
    assert [node.op_type for node in qlinear.graph.node].count("Clip") == 1
    assert_declared(COMMON_SCALES, source, after, build.images())
    np.testing.assert_array_equal(run(qlinear, build.images())[0], run(qdq, build.images())[0])


def test_a_relu6_is_kept() -> None:
    build = QLinearGraph()
    x = build.quantized_input((1, 4, 6, 6))
    relu6 = build.conv(x, 4, kernel=1, made=Tensor(build.name("q"), (), float(np.float32(6 / 255)), 0))
    wide = build.conv(x, 4, kernel=1, made=Tensor(build.name("q"), (), float(np.float32(12 / 255)), 0))
    joined = build.concat(relu6, wide, like=Tensor("", (), float(np.float32(12 / 255)), 0))
    _, after = apply(COMMON_SCALES, build.model(joined))
    clip = next(node for node in to_qlinear(after).graph.node if node.op_type == "Clip")
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in to_qlinear(after).graph.initializer}
    assert [int(arrays[name]) for name in clip.input[1:]] == [0, 128]


def test_a_range_that_no_input_holds_alone_becomes_a_new_one() -> None:
    build = QLinearGraph()
    x = build.quantized_input((1, 4, 6, 6))
    low = build.conv(x, 4, kernel=1, made=Tensor(build.name("q"), (), float(np.float32(4 / 255)), 255))
    high = build.conv(x, 4, kernel=1, made=Tensor(build.name("q"), (), float(np.float32(4 / 255)), 0))
    joined = build.concat(low, high, like=Tensor("", (), float(np.float32(2 / 255)), 128))
    source = build.model(joined)
    _, after = apply(COMMON_SCALES, source)
    scores = run(to_qlinear(after), build.images())[0]
    assert scores.min() < -1.0 < 1.0 < scores.max()


def test_a_concat_of_a_float_is_left_alone() -> None:
    build = QLinearGraph()
    x = build.quantized_input((1, 4, 6, 6))
    left = build.conv(x, 4, kernel=1)
    source = build.model(left, build.conv(x, 4, kernel=1))
    outputs = [value.name for value in source.graph.output]
    source.graph.node.append(helper.make_node("Concat", outputs, ["joined"], name="joined", axis=1))
    del source.graph.output[:]
    source.graph.output.append(helper.make_tensor_value_info("joined", 1, [1, 8, 6, 6]))
    assert_untouched(COMMON_SCALES, source)


def test_a_graph_without_concat_is_left_alone() -> None:
    build = QLinearGraph()
    assert_untouched(COMMON_SCALES, build.model(build.conv(build.quantized_input((1, 4, 6, 6)), 4)))


def test_equal_scales_are_left_alone() -> None:
    build = QLinearGraph()
    options: dict[str, Any] = {"like": None}
    x = build.quantized_input((1, 4, 6, 6))
    left = build.conv(x, 4, kernel=1)
    options["like"] = left
    assert_untouched(COMMON_SCALES, build.model(build.concat(left, build.max_pool(left, kernel=1), **options)))
