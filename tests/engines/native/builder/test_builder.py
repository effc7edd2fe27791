from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.collect import collect
from quantize.calibration.moment_pass import collect_second_moments
from quantize.data.batches import Batch
from quantize.engines.native.builder.activation_grids import COMMON_GRIDS
from quantize.engines.native.builder.builder import NativeBuilder
from quantize.engines.native.builder.equalization import equalizable, equalized
from quantize.engines.native.builder.layers import windows
from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from quantize.engines.native.builder.weight_scales import WEIGHT_MSE
from quantize.engines.native.builder.weights import BIAS, EQUALIZATION, ROUNDING
from quantize.errors import EngineError
from quantize.formats.exact import open_exact_session
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import save_model
from quantize.recipe import Recipe

RECIPE = Recipe(engine="native")


def classifier():
    """Conv-Relu-depthwise Conv-Relu into two Convs, Concat, GlobalAveragePool, Gemm; ranges of channels differ."""
    rng = np.random.default_rng(0)

    def constant(name, *shape):
        spread = np.exp2(rng.uniform(-3, 3, (shape[0], *[1] * (len(shape) - 1))))
        return numpy_helper.from_array((rng.normal(0, 0.2, shape) * spread).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], "conv0", kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"], "relu0"),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], "depthwise", kernel_shape=[3, 3], group=8),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "left", kernel_shape=[1, 1]),
        helper.make_node("Conv", ["r1", "w3", "b3"], ["c3"], "right", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Concat", ["c2", "c3"], ["cat"], "concat", axis=1),
        helper.make_node("GlobalAveragePool", ["cat"], ["gap"], "gap"),
        helper.make_node("Flatten", ["gap"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w4", "b4"], ["scores"], "gemm", transB=1),
    ]
    initializers = [
        constant("w0", 8, 3, 3, 3),
        constant("b0", 8),
        constant("w1", 8, 1, 3, 3),
        constant("b1", 8),
        constant("w2", 6, 8, 1, 1),
        constant("w3", 6, 8, 3, 3),
        constant("b3", 6),
        constant("w4", 10, 12),
        constant("b4", 10),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


IMAGES = np.random.default_rng(1).normal(0.3, 1, (24, 3, 16, 16)).astype(np.float32)
BATCHES = [Batch(tuple(map(str, range(24))), IMAGES, None)]


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.fixture(scope="module")
def statistics(model):
    return collect(model, BATCHES)


@pytest.fixture(scope="module")
def moments(model):
    return collect_second_moments(model, list(windows(model)), BATCHES)


def quantize_graph(model, recipe, statistics, moments=None):
    return NativeBuilder(Path("unused"), moments and (lambda: moments)).graph(model, recipe, statistics)


def scores(model):
    return open_exact_session(model).run(None, {"x": IMAGES})[0]


def error(model, candidate):
    return float(((scores(candidate) - scores(model)) ** 2).mean())


def test_the_candidate_scores_nearly_as_the_model_does(model, statistics):
    quantized = quantize_graph(model, RECIPE, statistics)
    onnx.checker.check_model(quantized, full_check=True)
    assert error(model, quantized) < 0.01 * scores(model).var()


def test_everything_that_onnxruntime_quantizes_is_quantized(model, statistics):
    quantized = quantize_graph(model, RECIPE, statistics)
    types = {tensor.name: tensor.data_type for tensor in quantized.graph.initializer}
    for weight in ("w0", "w1", "w2", "w3", "w4"):
        assert types[f"{weight}_quantized"] == TensorProto.INT8
    assert not any(name in types for name in ("w0", "w1", "w2", "w3", "w4"))


def test_nodes_and_op_types_of_the_recipe_stay_in_fp32(model, statistics):
    quantized = quantize_graph(model, RECIPE.but(float_nodes=("conv0",), float_op_types=("Gemm",)), statistics)
    names = {tensor.name for tensor in quantized.graph.initializer}
    assert {"w0", "w4"} <= names
    assert "w1_quantized" in names


def test_weights_have_a_scale_for_every_output_channel_or_one_for_all(model, statistics):
    for per_channel, shape in ((True, [8]), (False, [])):
        quantized = quantize_graph(model, RECIPE.but(per_channel=per_channel), statistics)
        scale = next(tensor for tensor in quantized.graph.initializer if tensor.name == "w0_scale")
        assert list(scale.dims) == shape


def test_reduced_range_keeps_weights_within_seven_bits(model, statistics):
    quantized = quantize_graph(model, RECIPE.but(reduce_range=True), statistics)
    weights = next(tensor for tensor in quantized.graph.initializer if tensor.name == "w0_quantized")
    assert np.abs(numpy_helper.to_array(weights)).max() == 63
    assert saturating_layers(quantized) == ()
    assert saturating_layers(quantize_graph(model, RECIPE, statistics)) != ()


@pytest.mark.parametrize("activation_type", ["uint8", "int8"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_activations_take_the_type_that_the_recipe_says(model, statistics, activation_type, symmetric):
    recipe = RECIPE.but(activation_type=activation_type, symmetric_activations=symmetric)
    quantized = quantize_graph(model, recipe, statistics)
    points = {tensor.name: tensor for tensor in quantized.graph.initializer if tensor.name.endswith("_zero_point")}
    assert points["x_zero_point"].data_type == getattr(TensorProto, activation_type.upper())
    assert error(model, quantized) < 0.02 * scores(model).var()


def test_bias_correction_takes_the_shift_off_the_mean(model, statistics):
    plain, corrected = (quantize_graph(model, RECIPE.but(corrections=names), statistics) for names in ((), (BIAS,)))
    reference = scores(model).mean(axis=0)
    shifts = [np.abs(scores(candidate).mean(axis=0) - reference).mean() for candidate in (plain, corrected)]
    assert shifts[1] < shifts[0]


def test_a_layer_without_bias_gets_one_by_bias_correction(model, statistics):
    quantized = quantize_graph(model, RECIPE.but(corrections=(BIAS,)), statistics)
    left = next(node for node in quantized.graph.node if node.name == "left")
    assert len(left.input) == 3


def test_least_squares_rounding_is_built_into_the_candidate(model, statistics, moments):
    nearest, rounded = (
        quantize_graph(model, RECIPE.but(corrections=names), statistics, moments) for names in ((), (ROUNDING,))
    )
    found = [
        {tensor.name: numpy_helper.to_array(tensor).astype(int) for tensor in candidate.graph.initializer}
        for candidate in (nearest, rounded)
    ]
    weights = [f"w{index}_quantized" for index in range(5)]
    assert not all(np.array_equal(found[0][name], found[1][name]) for name in weights)
    assert error(model, rounded) < 0.01 * scores(model).var()


def test_rounding_without_moments_is_a_mistake_of_the_caller(model, statistics):
    with pytest.raises(ValueError, match="second moments"):
        quantize_graph(model, RECIPE.but(corrections=(ROUNDING,)), statistics)


def test_scales_by_squared_error_lower_the_error_of_the_weights(model, statistics):
    def weight_error(corrections):
        quantized = quantize_graph(model, RECIPE.but(corrections=corrections), statistics)
        found = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
        restored = found["w3_quantized"] * found["w3_scale"][:, None, None, None]
        original = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "w3")
        return ((restored - original) ** 2).sum()

    assert weight_error((WEIGHT_MSE,)) < weight_error(())


def test_an_equalized_model_is_the_same_function(model):
    changed = equalized(model)
    weights = [numpy_helper.to_array(t) for m in (model, changed) for t in m.graph.initializer if t.name == "w0"]
    assert not np.array_equal(*weights)
    assert scores(changed) == pytest.approx(scores(model), rel=1e-4, abs=1e-4)


def test_depthwise_chains_and_several_consumers_can_be_equalized(model):
    pairs = {pair.producer.node: [layer.node for layer in pair.consumers] for pair in equalizable(model)}
    assert pairs == {"conv0": ["depthwise"], "depthwise": ["left", "right"]}


def test_a_clip_or_an_output_of_the_model_stops_equalization(model):
    clipped = onnx.ModelProto.FromString(model.SerializeToString())
    relu = next(node for node in clipped.graph.node if node.name == "relu0")
    relu.op_type = "Clip"
    assert [pair.producer.node for pair in equalizable(clipped)] == ["depthwise"]
    clipped.graph.output.append(helper.make_tensor_value_info("r1", TensorProto.FLOAT, None))
    assert list(equalizable(clipped)) == []


def test_equalization_is_built_from_statistics_of_the_equalized_model(model):
    after = collect(equalized(model), BATCHES)
    quantized = quantize_graph(model, RECIPE.but(corrections=(EQUALIZATION,)), after)
    assert error(model, quantized) < 0.01 * scores(model).var()


@pytest.mark.parametrize("given", [{"rewrites": ("common-scales",)}, {"details": ((COMMON_GRIDS, "true"),)}])
def test_common_scales_give_a_concat_and_its_inputs_one_grid(model, statistics, given):
    quantized = quantize_graph(model, RECIPE.but(**given), statistics)
    scales = {
        t.name: float(numpy_helper.to_array(t))
        for t in quantized.graph.initializer
        if t.name.endswith("_scale") and not t.dims
    }
    assert scales["c2_scale"] == scales["c3_scale"] == scales["cat_scale"]


def test_scores_can_stay_float(model, statistics):
    quantized = quantize_graph(model, RECIPE.but(details=((FLOAT_OUTPUTS, "true"),)), statistics)
    onnx.checker.check_model(quantized, full_check=True)
    assert next(node for node in quantized.graph.node if "scores" in node.output).op_type == "Gemm"
    assert error(model, quantized) < 0.01 * scores(model).var()


def test_a_large_bias_still_fits_into_int32(model, statistics):
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in changed.graph.initializer:
        if tensor.name == "w0":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1e-9), "w0"))
    quantized = quantize_graph(changed, RECIPE, collect(changed, BATCHES))
    bias = next(numpy_helper.to_array(t) for t in quantized.graph.initializer if t.name == "b0_quantized")
    assert np.abs(bias.astype(np.int64)).max() < 2**31 - 1
    assert error(changed, quantized) < 0.01 * max(scores(changed).var(), 1e-3)


def test_an_unknown_correction_is_refused(model, statistics):
    with pytest.raises(EngineError, match="no such correction"):
        quantize_graph(model, RECIPE.but(corrections=("luck",)), statistics)


def test_the_same_recipe_gives_the_same_bytes(model, statistics, moments, tmp_path):
    source = save_model(model, tmp_path / "model.onnx")
    recipe = RECIPE.but(corrections=(WEIGHT_MSE, ROUNDING, BIAS))
    built = [NativeBuilder(tmp_path / name, lambda: moments).build(source, recipe, statistics) for name in ("a", "b")]
    assert built[0].sha256 == built[1].sha256
    assert built[0].path.name == f"{recipe.id}.onnx"
    assert built[0].contract == source.contract
