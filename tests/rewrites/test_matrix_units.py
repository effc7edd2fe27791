"""Weights of Convs moved by a step, so that onnxruntime multiplies them as matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from quantize.formats import canonical, to_qdq
from quantize.formats.exact import with_unsigned_weights
from quantize.formats.qdq_pattern import constant_integers
from quantize.formats.saturation import saturating_layers
from quantize.graph.view import Graph
from quantize.rewrites import matrix_units
from quantize.rewrites.matrix_units import FEWEST_OUTPUTS, FEWEST_PRODUCTS, MATRIX_UNITS
from tests.formats.small_graphs import QLinearGraph
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched
from tests.rewrites.stems import stems


@pytest.fixture
def any_conv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take Convs of short sums and few outputs too."""
    monkeypatch.setattr(matrix_units, "FEWEST_PRODUCTS", 1)
    monkeypatch.setattr(matrix_units, "FEWEST_OUTPUTS", 1)


def one_conv(channels: int, outputs: int, kernel: int, **options: Any) -> tuple[ModelProto, Feeds]:
    """Return a model of one Conv, and an image for it."""
    build = QLinearGraph()
    x = build.quantized_input((1, channels, 5, 5))
    return build.model(build.conv(x, outputs, kernel=kernel, **options)), build.images()


def weights_of(model: ModelProto) -> tuple[Any, Any]:
    """Return the integers of the model's one Conv and their zero points."""
    graph = Graph(model)
    conv = next(node for node in graph.nodes if node.op_type == "Conv")
    found = constant_integers(graph, conv.input[1])
    assert found is not None
    return found[1], found[0].by.zero_point


@pytest.mark.usefixtures("any_conv")
@given(stems(strides=(1, 2)))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_weights_that_moved_with_their_zero_point_keep_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    _, after = apply(MATRIX_UNITS, source)
    assert_declared(MATRIX_UNITS, source, after, feeds)


@pytest.mark.usefixtures("any_conv")
@given(st.sampled_from([(-127, 127, -1), (-128, 126, 1), (-5, 5, -1)]), st.booleans())
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_they_move_to_the_side_where_there_is_room(case: tuple[int, int, int], per_channel: bool) -> None:
    low, high, step = case
    model, feeds = one_conv(8, 16, 1, per_channel=per_channel)
    before = filled_with(model, low, high)
    names, after = apply(MATRIX_UNITS, before)
    assert len(names) == 1
    integers, zero_points = weights_of(after)
    assert (int(integers.min()), int(integers.max())) == (low + step, high + step)
    assert set(zero_points.reshape(-1)) == {step}
    assert_declared(MATRIX_UNITS, before, after, feeds)


@pytest.mark.usefixtures("any_conv")
def test_weights_without_room_on_either_side_stay() -> None:
    model, _ = one_conv(8, 16, 1)
    assert_untouched(MATRIX_UNITS, filled_with(model, -128, 127))


@pytest.mark.usefixtures("any_conv")
@pytest.mark.parametrize(("low", "high", "step"), [(-63, 63, -1), (-64, 63, 1), (-63, 64, -1), (-64, 64, None)])
def test_weights_whose_sums_saturate_nowhere_do_not_begin_to(low: int, high: int, step: int | None) -> None:
    # Two weights of 64 leave 16 bits with no activation, two of 65 do.
    model = filled_with(one_conv(8, 16, 1)[0], low, high)
    assert not saturating_layers(model)
    if step is None:
        assert_untouched(MATRIX_UNITS, model)
        return
    names, after = apply(MATRIX_UNITS, model)
    integers, _ = weights_of(after)
    assert len(names) == 1
    assert (int(integers.min()), int(integers.max())) == (low + step, high + step)
    assert not saturating_layers(after)


@pytest.mark.usefixtures("any_conv")
def test_weights_of_uint8_and_activations_of_int8_are_left_alone() -> None:
    model = one_conv(8, 16, 1)[0]
    assert_untouched(MATRIX_UNITS, with_unsigned_weights(to_qdq(canonical(model))))
    assert_untouched(MATRIX_UNITS, of_int8(model))


@pytest.mark.usefixtures("any_conv")
def test_a_conv_whose_weights_lie_around_zero_afterwards_is_told() -> None:
    graph = Graph(canonical(one_conv(8, 16, 1)[0]))
    conv = next(node.name for node in graph.nodes if node.op_type == "Conv")
    assert list(MATRIX_UNITS.broken(graph, [conv])) == [f"{conv} has weights around zero"]


@pytest.mark.usefixtures("any_conv")
def test_groups_and_weights_around_another_zero_point_are_left_alone() -> None:
    assert_untouched(MATRIX_UNITS, one_conv(16, 16, 3, group=16)[0])
    assert_untouched(MATRIX_UNITS, one_conv(8, 16, 1, weight_zero=5)[0])


def test_only_long_sums_are_products_and_rows_are_copied_for_many_outputs_only() -> None:
    few = -(-FEWEST_PRODUCTS // 9)
    assert apply(MATRIX_UNITS, one_conv(FEWEST_PRODUCTS, 16, 1)[0])[0]
    assert apply(MATRIX_UNITS, one_conv(few, FEWEST_OUTPUTS, 3)[0])[0]
    assert_untouched(MATRIX_UNITS, one_conv(FEWEST_PRODUCTS - 1, 16, 1)[0])
    assert_untouched(MATRIX_UNITS, one_conv(few, FEWEST_OUTPUTS - 1, 3)[0])


def of_int8(model: ModelProto) -> ModelProto:
    """Return a model of one Conv whose activations are int8."""
    changed = ModelProto()
    changed.CopyFrom(model)
    wanted = {
        name for node in changed.graph.node if node.op_type == "QLinearConv" for name in (node.input[2], node.input[7])
    }
    for constant in changed.graph.initializer:
        if constant.name in wanted:
            values = numpy_helper.to_array(constant)
            constant.CopyFrom(numpy_helper.from_array((values.astype(np.int32) - 128).astype(np.int8), constant.name))
    return changed


def filled_with(model: ModelProto, low: int, high: int) -> ModelProto:
    """Return a model whose Conv's weights have this least and this largest value."""
    changed = ModelProto()
    changed.CopyFrom(model)
    name = next(node for node in changed.graph.node if node.op_type == "QLinearConv").input[3]
    for constant in changed.graph.initializer:
        if constant.name == name:
            shape = tuple(constant.dims)
            values = np.random.default_rng(0).integers(low, high + 1, shape).astype(np.int8)
            values.reshape(-1)[:4] = low, low, high, high
            constant.CopyFrom(numpy_helper.from_array(values, name))
    return changed
