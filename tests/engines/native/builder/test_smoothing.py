from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.channel_ranges import collect_channel_ranges
from quantize.calibration.collect import collect
from quantize.data.batches import Batch
from quantize.engines.native.builder.builder import source_graph
from quantize.engines.native.builder.smoothable import smoothable
from quantize.engines.native.builder.smoothing import SMOOTHING, smoothing_factors, with_smoothing
from quantize.formats.exact import open_exact_session
from quantize.recipe import Recipe
from tests.engines.native.builder.small_model import quantize_graph

WIDTH, TOKENS = 8, 6
RNG = np.random.default_rng(3)
IMAGES = RNG.normal(0, 1, (16, TOKENS, WIDTH)).astype(np.float32)
BATCHES = [Batch(tuple(map(str, range(16))), IMAGES, None)]
RECIPE = Recipe(engine="native", range_rule="minmax")
GAINS = np.array([30, 0.5, 1, 0.2, 1, 1, 0.1, 2], np.float32)

ONE_NODE = [helper.make_node("LayerNormalization", ["x", "gains", "shifts"], ["n"], "norm", axis=-1)]
NINE_NODES = [
    helper.make_node("ReduceMean", ["x"], ["mean"], "mean", axes=[-1]),
    helper.make_node("Sub", ["x", "mean"], ["centred"], "sub"),
    helper.make_node("Pow", ["centred", "two"], ["squared"], "pow"),
    helper.make_node("ReduceMean", ["squared"], ["variance"], "variance", axes=[-1]),
    helper.make_node("Add", ["variance", "epsilon"], ["lifted"], "lift"),
    helper.make_node("Sqrt", ["lifted"], ["root"], "root"),
    helper.make_node("Div", ["centred", "root"], ["normal"], "div"),
    helper.make_node("Mul", ["normal", "gains"], ["scaled"], "mul"),
    helper.make_node("Add", ["scaled", "shifts"], ["n"], "add"),
]
MATMULS = [
    helper.make_node("MatMul", ["n", "w0"], ["a"], "left"),
    helper.make_node("MatMul", ["n", "w1"], ["b"], "right"),
    helper.make_node("Add", ["a", "b"], ["y"], "sum"),
]


def network(behind, norm=ONE_NODE, **weights):
    shapes = {"w0": (WIDTH, 5), "w1": (WIDTH, 5)} | weights
    constants = {"gains": GAINS, "shifts": np.linspace(-1, 1, WIDTH), "two": 2, "epsilon": 1e-5}
    draw = np.random.default_rng(4)  # the same weights, whichever tests ran before
    constants |= {name: draw.normal(0, 0.3, shape) for name, shape in shapes.items()}
    stored = [
        numpy_helper.from_array(np.array(values, np.int64 if name.startswith("i_") else np.float32), name)
        for name, values in constants.items()
    ]
    graph = helper.make_graph(
        [*norm, *behind],
        "tokens",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", TOKENS, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def factors_of(model):
    axes = {smooth.tensor: smooth.axis for smooth in smoothable(model)}
    return smoothing_factors(model, collect_channel_ranges(model, axes, BATCHES))


def outputs(model):
    return open_exact_session(model).run(None, {"x": IMAGES})[0]


def is_same_function(model):
    recipe = with_smoothing(RECIPE, factors_of(model))
    changed = source_graph(model, recipe)
    weights = [{t.name: numpy_helper.to_array(t) for t in m.graph.initializer} for m in (model, changed)]
    assert not np.array_equal(weights[0]["w0"], weights[1]["w0"])
    assert [node.op_type for node in changed.graph.node] == [node.op_type for node in model.graph.node]
    largest = np.abs(outputs(model)).max()
    return outputs(changed) == pytest.approx(outputs(model), rel=1e-5, abs=float(1e-6 * largest))


@pytest.mark.parametrize("norm", [ONE_NODE, NINE_NODES], ids=["one node", "nine nodes"])
def test_a_smoothed_model_is_the_same_function(norm):
    model = network(MATMULS, norm)
    (normalization,) = smoothable(model)
    assert [layer.node for layer, _ in normalization.products] == ["left", "right"]
    assert is_same_function(model)


def test_a_convolution_behind_a_transpose_and_a_gemm_behind_a_flatten_are_smoothed():
    to_image = helper.make_node("Transpose", ["n"], ["first"], "first", perm=[0, 2, 1])
    conv = helper.make_node("Conv", ["first", "w0"], ["y"], "conv")
    assert is_same_function(network([to_image, conv], w0=(5, WIDTH, 3)))
    token = helper.make_node("Gather", ["n", "i_first"], ["token"], "token", axis=1)
    flat = helper.make_node("Flatten", ["token"], ["flat"], "flat")
    gemm = helper.make_node("Gemm", ["flat", "w0"], ["y"], "gemm", transB=1)
    model = network([token, flat, gemm], w0=(5, WIDTH))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0]), "i_first"))
    assert is_same_function(model)


@pytest.mark.parametrize(
    "behind",
    [
        [helper.make_node("MatMul", ["n", "w0"], ["a"], "left"), helper.make_node("Concat", ["n", "a"], ["y"], axis=2)],
        [helper.make_node("Relu", ["n"], ["r"], "relu"), helper.make_node("MatMul", ["r", "w0"], ["y"], "left")],
        [helper.make_node("Flatten", ["n"], ["f"], "f"), helper.make_node("MatMul", ["f", "tall"], ["y"], "left")],
        [
            helper.make_node("Transpose", ["n"], ["t"], "t", perm=[0, 2, 1]),
            helper.make_node("MatMul", ["t", "low"], ["y"], "left"),
        ],
        [
            helper.make_node("Gather", ["n", "i_chosen"], ["g"], "g", axis=2),
            helper.make_node("MatMul", ["g", "w0"], ["y"], "left"),
        ],
    ],
    ids=["read by others", "activation", "all tokens at once", "of tokens", "of chosen channels"],
)
def test_what_is_read_otherwise_is_not_smoothed(behind):
    model = network(behind, tall=(WIDTH * TOKENS, 5), low=(TOKENS, 5), i_chosen=(WIDTH,))
    assert list(smoothable(model)) == []


def test_normalizations_that_share_their_scale_are_smoothed_apart():
    second = helper.make_node("LayerNormalization", ["sum", "gains", "shifts"], ["n2"], "norm2", axis=-1)
    behind = [
        helper.make_node("MatMul", ["n", "w0"], ["a"], "left"),
        helper.make_node("Add", ["a", "x"], ["sum"], "residual"),
        second,
        helper.make_node("MatMul", ["n2", "w1"], ["y"], "right"),
    ]
    model = network(behind, w0=(WIDTH, WIDTH))
    assert set(json.loads(factors_of(model))) == {"n", "n2"}
    assert is_same_function(model)


def test_outlier_channels_cost_less_with_smoothing():
    model = network(MATMULS)
    recipe = with_smoothing(RECIPE, factors_of(model))
    assert recipe.corrections == (SMOOTHING,)
    errors = []
    for tried in (RECIPE, recipe):
        statistics = collect(source_graph(model, tried), BATCHES)
        errors.append(np.square(outputs(quantize_graph(model, tried, statistics)) - outputs(model)).mean())
    assert errors[1] < 0.6 * errors[0]


def test_a_normalization_of_like_channels_is_left_alone():
    model = network(MATMULS)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, values in (("gains", np.ones(WIDTH)), ("shifts", np.zeros(WIDTH))):
        constants[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
    for name in ("w0", "w1"):
        constants[name].CopyFrom(numpy_helper.from_array(np.eye(WIDTH, 5, dtype=np.float32) + 1, name))
    assert set(json.loads(factors_of(model)).get("n", "m")) == {"m"}


PIXELS = RNG.normal(0, 1, (16, 3, 6, 6)).astype(np.float32)
SPREAD = np.array([30, 0.1, 1, 3], np.float32).reshape(4, 1, 1, 1)
TO_DEPTHWISE = helper.make_node("Conv", ["x", "made", "shift"], ["a"], "first")
DEPTHWISE = helper.make_node("Conv", ["a_relu", "own"], ["b"], "depthwise", group=4, pads=[1, 1, 1, 1])
HEAD = [
    helper.make_node("GlobalAveragePool", ["c"], ["d"], "pool"),
    helper.make_node("Flatten", ["d"], ["e"], "flat"),
    helper.make_node("Gemm", ["e", "scores"], ["y"], "gemm"),
]


def blocks(*behind):
    shapes = {"made": (4, 3, 1, 1), "shift": (4,), "own": (4, 1, 3, 3), "taken": (5, 4, 1, 1), "scores": (5, 2)}
    shapes |= {"group": (4, 2, 1, 1), "squared": (4, 2)}
    draw = np.random.default_rng(4)
    constants = {name: draw.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    constants |= {"made": constants["made"] * SPREAD, "own": constants["own"] * SPREAD[::-1]}
    constants |= {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    constants |= {"rows": np.array([-1, 4]), "vectors": np.array([0, 5])}
    graph = helper.make_graph(
        [TO_DEPTHWISE, *behind],
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def of_pixels(model):
    return open_exact_session(model).run(None, {"x": PIXELS})[0]


def separable():
    relu = helper.make_node("Relu", ["a"], ["a_relu"], "relu")
    return blocks(relu, DEPTHWISE, helper.make_node("Conv", ["b", "taken"], ["c"], "pointwise"), *HEAD)


def smoothed_by_pixels(model):
    axes = {smooth.tensor: smooth.axis for smooth in smoothable(model)}
    return with_smoothing(RECIPE, smoothing_factors(model, collect_channel_ranges(model, axes, PIXEL_BATCHES)))


PIXEL_BATCHES = [Batch(tuple(map(str, range(16))), PIXELS, None)]


def test_channels_between_convolutions_are_smoothed_through_what_lets_a_factor_pass():
    model = separable()
    found = {smooth.tensor: [layer.node for layer, _ in smooth.products] for smooth in smoothable(model)}
    assert found == {"a_relu": ["depthwise"], "b": ["pointwise"], "c": ["gemm"]}
    recipe = smoothed_by_pixels(model)
    assert set(json.loads(dict(recipe.details)[SMOOTHING])) >= {"a_relu", "b"}
    changed = of_pixels(source_graph(model, recipe))
    assert changed == pytest.approx(of_pixels(model), rel=1e-4, abs=float(1e-5 * np.abs(of_pixels(model)).max()))


@pytest.mark.parametrize("rows", ["vectors", "one_by_one"])
def test_a_pool_of_all_pixels_that_is_reshaped_is_smoothed(rows):
    reshape = helper.make_node("Reshape", ["d", rows], ["e"], "flat")
    model = blocks(helper.make_node("Conv", ["a", "taken"], ["c"], "pointwise"), HEAD[0], reshape, HEAD[2])
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 5]), "one_by_one"))
    assert [smooth.tensor for smooth in smoothable(model)] == ["a", "c"]


def test_in_front_of_a_depthwise_convolution_every_channel_gets_the_whole_grid():
    model = separable()
    recipe = smoothed_by_pixels(model)
    ranges = collect_channel_ranges(source_graph(model, recipe), {"a_relu": 1}, PIXEL_BATCHES)["a_relu"]
    assert ranges.highest.max() < 1.5 * ranges.highest.min()


def test_channels_of_their_own_ranges_cost_less_with_smoothing():
    model, errors = separable(), []
    for tried in (RECIPE, smoothed_by_pixels(model)):
        statistics = collect(source_graph(model, tried), PIXEL_BATCHES)
        quantized = quantize_graph(model, tried, statistics)
        errors.append(np.square(of_pixels(quantized) - of_pixels(model)).mean())
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize(
    "behind",
    [
        [helper.make_node("Clip", ["a", "low", "high"], ["k"]), helper.make_node("Conv", ["k", "taken"], ["y"], "p")],
        [helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Conv", ["s", "taken"], ["y"], "p")],
        [helper.make_node("Conv", ["a", "group"], ["y"], "p", group=2)],
        [helper.make_node("Conv", ["a", "taken"], ["c"], "p"), helper.make_node("Concat", ["a", "c"], ["y"], axis=1)],
        [helper.make_node("Reshape", ["a", "rows"], ["r"]), helper.make_node("MatMul", ["r", "squared"], ["y"], "p")],
    ],
    ids=["bounded", "no factor goes through", "groups", "read by others", "pixels taken for channels"],
)
def test_channels_that_no_factor_can_move_are_left_alone(behind):
    assert [smooth.tensor for smooth in smoothable(blocks(*behind))] == []
