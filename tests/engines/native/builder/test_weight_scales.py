from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from quantize.calibration.collect import collect
from quantize.engines.native.builder.weight_scales import (
    NARROW_WHERE_NEEDED,
    WEIGHT_MSE,
    narrow_layers,
    with_room_for_bias,
)
from quantize.formats.saturation import saturating_layers
from tests.engines.native.builder.small_model import BATCHES, RECIPE, error, quantize_graph, scores


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


def test_scales_by_squared_error_lower_the_error_of_the_weights(model, statistics):
    def weight_error(corrections):
        quantized = quantize_graph(model, RECIPE.but(corrections=corrections), statistics)
        tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
        restored = tensors["w3_quantized"] * tensors["w3_scale"][:, None, None, None]
        original = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "w3")
        return ((restored - original) ** 2).sum()

    assert weight_error((WEIGHT_MSE,)) < weight_error(())


def test_a_large_bias_still_fits_into_int32(model, statistics):
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in changed.graph.initializer:
        if tensor.name == "w0":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1e-9), "w0"))
    quantized = quantize_graph(changed, RECIPE, collect(changed, BATCHES))
    bias = next(numpy_helper.to_array(t) for t in quantized.graph.initializer if t.name == "b0_quantized")
    assert np.abs(bias.astype(np.int64)).max() < 2**31 - 1
    assert error(changed, quantized) < 0.01 * max(scores(changed).var(), 1e-3)


def test_a_scale_gives_way_to_a_bias_that_would_not_fit():
    scales = np.array([1e-6, 1.0], np.float32)
    bias = np.array([1e4, 1e4], np.float32)
    raised = with_room_for_bias(scales, bias, np.float32(0.1), RECIPE)
    assert raised[1] == scales[1]
    assert np.abs(np.rint(bias / (np.float32(0.1) * raised))).max() < 2**31 / 3
    of_all = with_room_for_bias(np.full(2, 1e-6, np.float32), bias, np.float32(0.1), RECIPE.but(per_channel=False))
    assert of_all[0] == of_all[1]


def test_only_layers_that_can_saturate_are_narrow_on_request(model):
    wanted = RECIPE.but(reduce_range=True, details=((NARROW_WHERE_NEEDED, "true"),))
    everywhere = narrow_layers(model, RECIPE.but(reduce_range=True))
    assert everywhere == ("conv0", "depthwise", "left", "right", "gemm")
    assert narrow_layers(model, wanted) == tuple(name for name in everywhere if name != "depthwise")
    assert narrow_layers(model, RECIPE) == ()
    assert "right" not in narrow_layers(model, RECIPE.but(reduce_range=True, uint8_nodes=("right",)))
