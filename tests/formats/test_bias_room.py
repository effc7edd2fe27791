"""Biases that do not fit in 32 bits beside tiny weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats import to_qdq, to_qlinear
from quantize.formats.bias import add_bias
from quantize.formats.bias_room import with_room_for_biases
from quantize.formats.exact import open_exact_session
from quantize.formats.parameters import add_dequantize, add_quantize, new_parameters
from quantize.graph.view import Graph
from quantize.grid.grid import Grid, usable_scale

IMAGES = np.random.default_rng(2).normal(size=(2, 3, 8, 8)).astype(np.float32)


def layer(spreads: list[float], seed: int) -> ModelProto:
    """Return a Conv whose channels have weights of these sizes, and biases of about 5."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(len(spreads), 3, 3, 3)) * np.array(spreads).reshape(-1, 1, 1, 1)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w", "b"], ["y"], "conv")],
        "g",
        [value("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [value("y", TensorProto.FLOAT, ["N", len(spreads), 6, 6])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "w"),
            numpy_helper.from_array(rng.uniform(-5, 5, len(spreads)).astype(np.float32), "b"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def quantized(fp32: ModelProto, *, per_channel: bool) -> ModelProto:
    """Return it as a quantizer writes it that looks at weights alone: biases saturate."""
    graph = Graph(fp32)
    (conv,) = graph.nodes
    weights, bias = graph.constant("w"), graph.constant("b")
    assert weights is not None
    assert bias is not None
    (y,) = open_exact_session(fp32).run(None, {"x": IMAGES})
    x, out = (Grid.covering(float(values.min()), float(values.max())) for values in (IMAGES, y))
    by_x, by_y = (new_parameters(graph, name, g.scale, g.zero_point, None) for name, g in (("x", x), ("y", out)))
    most = np.abs(weights).reshape(len(weights), -1).max(axis=1) if per_channel else np.abs(weights).max()
    scale = usable_scale(most / 127)
    by_w = new_parameters(graph, "w", scale, np.zeros(scale.shape, np.int8), 0 if per_channel else None)
    add_quantize(graph, "x", by_x, "x_integers")
    inputs = [
        add_dequantize(graph, "x_integers", by_x),
        add_dequantize(graph, graph.add_constant("w_integers", by_w.quantize(weights)), by_w),
        add_bias(graph, "b_integers", bias, by_x, by_w),
    ]
    for position, name in enumerate(inputs):
        graph.set_input(conv, position, name)
    graph.set_output(conv, 0, "y_float")
    add_quantize(graph, "y_float", by_y, "y_integers")
    add_dequantize(graph, "y_integers", by_y, "y")
    return graph.model()


@given(
    st.lists(st.sampled_from([0.3, 1e-4, 1e-8, 1e-12]), min_size=2, max_size=6), st.integers(0, 2**16), st.booleans()
)
@settings(deadline=None, max_examples=60)
def test_every_layer_is_right_to_its_output_step_in_both_formats(
    spreads: list[float], seed: int, per_channel: bool
) -> None:
    fp32 = layer(spreads, seed)
    roomy = with_room_for_biases(quantized(fp32, per_channel=per_channel), fp32)
    (expected,) = open_exact_session(fp32).run(None, {"x": IMAGES})
    step = float(Grid.covering(float(expected.min()), float(expected.max())).scale)
    for form in (to_qlinear(roomy, opset=13), to_qdq(roomy)):
        (own,) = open_exact_session(form).run(None, {"x": IMAGES})
        assert np.abs(own - expected).max() <= 2.5 * step + 0.05 * max(spreads)


def test_a_bias_that_overflows_is_as_wrong_as_it_is_large_without_room() -> None:
    fp32 = layer([0.3, 1e-8], 1)
    (expected,) = open_exact_session(fp32).run(None, {"x": IMAGES})
    (own,) = open_exact_session(quantized(fp32, per_channel=True)).run(None, {"x": IMAGES})
    assert np.abs(own - expected)[:, 1].max() > 0.5


@pytest.mark.parametrize("per_channel", [True, False])
def test_a_model_whose_biases_have_room_is_the_same_object(per_channel: bool) -> None:
    fp32 = layer([0.3, 0.1], 0)
    model = quantized(fp32, per_channel=per_channel)
    assert with_room_for_biases(model, fp32) is model


def test_channels_that_had_room_keep_their_integers() -> None:
    fp32 = layer([0.3, 1e-8, 0.1], 3)
    model = quantized(fp32, per_channel=True)
    roomy = with_room_for_biases(model, fp32)
    before, after = (
        [array for tensor in graph.graph.initializer if (array := numpy_helper.to_array(tensor)).ndim == 4]
        for graph in (model, roomy)
    )
    assert len(before) == len(after) == 1
    np.testing.assert_array_equal(before[0][[0, 2]], after[0][[0, 2]])
    assert not after[0][1].any()
