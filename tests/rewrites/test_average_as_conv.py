"""Means of windows as Convs of ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from quantize.formats import canonical, to_qdq
from quantize.formats.qdq_pattern import constant_integers
from quantize.graph.view import Graph
from quantize.rewrites.average_as_conv import AVERAGE_AS_CONV
from tests.formats.small_graphs import QLinearGraph, run
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, integer_types


def pooled(side: tuple[int, int] = (9, 8), **attributes: Any) -> tuple[ModelProto, Feeds]:
    """Return a model of one pool between tensors on grids, as QDQ, and images for it."""
    build = QLinearGraph()
    x = build.conv(build.quantized_input((2, 3, *side)), 6, kernel=1)
    model = canonical(build.model(build.average_pool(x)))
    graph = Graph(model)
    (pool,) = (node for node in graph.nodes if node.op_type == "AveragePool")
    del pool.attribute[:]
    pool.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    made = graph.model()
    for value in made.graph.output:
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [2, 6, "height", "width"]))
    return made, build.images()


@st.composite
def pools(draw: st.DrawFn) -> tuple[ModelProto, Feeds]:
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": [draw(st.integers(1, 3)) for _ in range(2)]}
    if draw(st.booleans()):
        attributes["auto_pad"] = draw(st.sampled_from(["VALID", "SAME_UPPER", "SAME_LOWER"]))
    else:
        attributes["pads"] = [draw(st.integers(0, length - 1)) for length in kernel * 2]
    attributes["count_include_pad"] = draw(st.integers(0, 1))
    return pooled((draw(st.integers(5, 9)), draw(st.integers(5, 9))), **attributes)


@given(pools())
@settings(deadline=None, max_examples=60)
def test_a_pool_of_any_windows_becomes_a_conv_of_the_same_means(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    names, after = apply(AVERAGE_AS_CONV, source)
    assume(names)  # a kernel so small that automatic padding would cut stays a pool
    assert "QLinearAveragePool" not in integer_types(after)
    assert_declared(AVERAGE_AS_CONV, source, after, feeds)
    assert steps_apart(source, after, feeds) <= 3  # the mean, rounded, times 4 at most


def steps_apart(source: ModelProto, after: ModelProto, feeds: Feeds) -> int:
    """Return by how many steps of their grid two models' results differ at most."""
    before, now = (run(to_qdq(model), feeds)[0] for model in (source, after))
    step = np.diff(np.unique(before)).min()
    return int(np.rint(np.abs(before - now).max() / step))


@pytest.mark.parametrize("counted", [0, 1])
def test_inside_the_map_the_means_are_the_same_to_a_step_and_at_its_border_to_two(counted: int) -> None:
    attributes = {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": counted}
    source, feeds = pooled(**attributes)
    _, after = apply(AVERAGE_AS_CONV, source)
    assert steps_apart(source, after, feeds) <= (1 if counted else 2)
    assert ("QLinearMul" in integer_types(after)) == (not counted)


def test_padding_that_does_not_count_is_made_good_for_exactly() -> None:
    source, _ = pooled(kernel_shape=[3, 3], pads=[1] * 4)
    _, after = apply(AVERAGE_AS_CONV, source)
    graph = Graph(after)
    (product,) = (node for node in graph.nodes if node.op_type == "Mul")
    found = constant_integers(graph, product.input[1])
    assert found is not None
    assert set(np.unique(found[1])) == {112, 168, 252}  # 1, 1.5 and 2.25 times as much


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [2, 2], "dilations": [2, 2]},
        {"kernel_shape": [4, 4], "pads": [3] * 4},
        {"kernel_shape": [9, 9]},
    ],
    ids=["rounded up", "dilated", "of few values", "of the whole map"],
)
def test_windows_that_a_conv_cannot_have_or_is_no_better_for_stay_a_pool(attributes: dict[str, Any]) -> None:
    source, _ = pooled((9, 9), **attributes)
    assert_untouched(AVERAGE_AS_CONV, source)


def test_a_number_of_windows_that_rounding_up_does_not_change_is_no_obstacle() -> None:
    source, feeds = pooled((8, 8), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    names, after = apply(AVERAGE_AS_CONV, source)
    assert names
    assert_declared(AVERAGE_AS_CONV, source, after, feeds)
