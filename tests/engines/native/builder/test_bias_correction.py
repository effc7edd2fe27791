from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.collect import collect
from quantize.calibration.moment_pass import collect_second_moments
from quantize.data.batches import Batch
from quantize.engines.native.builder import bias_correction
from quantize.engines.native.builder.bias_correction import bias_shift
from quantize.engines.native.builder.layers import Layer, windows
from quantize.engines.native.builder.weights import BIAS, ROUNDING
from quantize.engines.native.search.single_op_pass import Subgraphs
from quantize.formats.exact import open_exact_session
from quantize.models.session import open_session
from quantize.recipe import Recipe
from tests.engines.native.builder.small_model import quantize_graph

WIDTH, TOKENS = 16, 6
RNG = np.random.default_rng(5)
IMAGES = RNG.normal(2, 1, (24, TOKENS, WIDTH)).astype(np.float32)
BATCHES = [Batch(tuple(map(str, range(24))), IMAGES, None)]
PLAIN = Recipe(engine="native", range_rule="minmax")
CORRECTED = PLAIN.but(corrections=(BIAS,))


def projection(*behind):
    """A MatMul of tokens, coarse in weights, with what follows it."""
    weights = RNG.normal(0, 0.02, (WIDTH, 8)).astype(np.float32)
    weights[0] = 2.0
    nodes = [helper.make_node("Relu", ["x"], ["r"], "relu"), helper.make_node("MatMul", ["r", "w"], ["t"], "product")]
    nodes += behind
    graph = helper.make_graph(
        nodes,
        "tokens",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", TOKENS, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", TOKENS, 8])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.linspace(-1, 1, 8, dtype=np.float32), "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def drift(model, candidate):
    fp32, int8 = (open_exact_session(each).run(None, {"x": IMAGES})[0] for each in (model, candidate))
    return np.abs((int8 - fp32).mean(axis=(0, 1))).mean()


@pytest.mark.parametrize("order", [["t", "b"], ["b", "t"]])
def test_the_add_behind_a_matmul_is_corrected_as_its_bias(order):
    model = projection(helper.make_node("Add", order, ["y"], "bias"))
    statistics = collect(model, BATCHES)
    plain, corrected = (quantize_graph(model, recipe, statistics) for recipe in (PLAIN, CORRECTED))
    assert drift(model, corrected) < 0.6 * drift(model, plain)


def product_of(shape, node, weights):
    """Return how far the means of a Relu and a coarse product drift from fp32, without and with the correction."""
    draw = np.random.default_rng(7)
    of_channel = np.linspace(0, 4, shape[1]).reshape(-1, *[1] * (len(shape) - 2))
    images = (draw.normal(0, 1, (24, *shape[1:])) + of_channel).astype(np.float32)
    coarse = draw.normal(0, 0.02, weights).astype(np.float32)
    coarse.reshape(-1)[0] = 2.0
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["r"], "relu"), node],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(coarse, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    statistics = collect(model, [Batch(tuple(map(str, range(24))), images, None)])
    candidates = [quantize_graph(model, recipe.but(per_channel=False), statistics) for recipe in (PLAIN, CORRECTED)]
    scores = [open_exact_session(each).run(None, {"x": images})[0] for each in (model, *candidates)]
    others = tuple(axis for axis in range(scores[0].ndim) if axis != 1)
    return [np.abs((int8 - scores[0]).mean(axis=others)).mean() for int8 in scores[1:]]


@pytest.mark.parametrize("sides", [(8,), (8, 8), (2, 8, 8)], ids=["1d", "2d", "3d"])
def test_convolutions_of_any_number_of_dimensions_are_corrected(sides):
    conv = helper.make_node("Conv", ["r", "w"], ["y"], "product")
    plain, corrected = product_of(["N", 16, *sides], conv, (4, 16, *[1] * len(sides)))
    assert corrected < 0.6 * plain


def test_a_product_of_the_image_itself_is_not_corrected_by_the_means_of_its_colours():
    product = helper.make_node("MatMul", ["x", "w"], ["t"], "product")
    add = helper.make_node("Add", ["t", "b"], ["y"], "bias")
    draw = np.random.default_rng(7)
    images = draw.normal(2, 1, (8, 3, 6, 6)).astype(np.float32)
    graph = helper.make_graph(
        [product, add],
        "rows",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(draw.normal(0, 1, shape).astype(np.float32), name)
            for name, shape in (("w", (6, 4)), ("b", 4))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    statistics = collect(model, [Batch(tuple(map(str, range(8))), images, None)])
    assert quantize_graph(model, CORRECTED, statistics) == quantize_graph(model, PLAIN, statistics)


def test_a_bias_that_another_node_adds_too_stays_as_it_is_there():
    own = helper.make_node("Add", ["t", "b"], ["biased"], "bias")
    other = helper.make_node("Add", ["biased", "b"], ["y"], "other")
    model = projection(own, other)
    recipe = CORRECTED.but(float_nodes=("bias", "other"))
    quantized = quantize_graph(model, recipe, collect(model, BATCHES))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    read = {node.name: constants[node.input[1]] for node in quantized.graph.node if node.name in ("bias", "other")}
    assert np.array_equal(read["other"], np.linspace(-1, 1, 8, dtype=np.float32))
    assert not np.array_equal(read["bias"], read["other"])


def test_a_matmul_without_a_bias_is_rounded_for_its_mean_too():
    model = projection(helper.make_node("Relu", ["t"], ["y"], "behind"))
    statistics, moments = collect(model, BATCHES), dict(collect_second_moments(model, list(windows(model)), BATCHES))
    recipes = (PLAIN.but(corrections=(ROUNDING,)), PLAIN.but(corrections=(ROUNDING, BIAS)))
    levels = [
        next(
            numpy_helper.to_array(tensor)
            for tensor in quantize_graph(model, recipe, statistics, moments).graph.initializer
            if tensor.name == "w_quantized"
        )
        for recipe in recipes
    ]
    assert np.array_equal(*levels)


def test_a_matmul_alone_is_tried_with_what_its_add_is_shifted_by():
    model = projection(helper.make_node("Add", ["t", "b"], ["y"], "bias"))
    shift = numpy_helper.from_array(np.full(8, 3, np.float32), "w:bias_shift")
    pieces = Subgraphs(model)
    results = [
        open_session(pieces.extract([1], ["t"], *given)).run(None, {"r": IMAGES})[0]
        for given in ([], [[shift], (1, "w:bias_shift")])
    ]
    assert results[1] == pytest.approx(results[0] + 3, rel=1e-5)


LAYER = Layer("conv", "Conv", "x", "y", "w", None, 0, 1)


@pytest.mark.parametrize("together", [1, 50, 1 << 20])
@pytest.mark.parametrize(("groups", "outputs", "channels", "pixels"), [(1, 6, 4, 9), (4, 3, 2, 5), (8, 1, 1, 9)])
def test_a_shift_is_what_rounding_adds_to_the_mean_however_many_weights_are_compared_at_a_time(
    groups, outputs, channels, pixels, together
):
    rows = RNG.normal(size=(groups * outputs, channels * pixels)).astype(np.float32)
    on_grid, means = np.round(rows * 9) / np.float32(9), RNG.normal(size=groups * channels)
    with patch.object(bias_correction, "_TOGETHER", together):
        shift = bias_shift(replace(LAYER, group=groups), rows, on_grid, means)
    of_weights = np.repeat(means.reshape(groups, channels), pixels, axis=1).repeat(outputs, axis=0)
    assert np.allclose(shift, ((rows.astype(np.float64) - on_grid) * of_weights).sum(axis=1), atol=1e-6)
