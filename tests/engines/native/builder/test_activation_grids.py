from __future__ import annotations

import pytest
from onnx import TensorProto, numpy_helper

from quantize.engines.native.builder.activation_grids import COMMON_GRIDS
from tests.engines.native.builder.small_model import RECIPE, error, quantize_graph, scores


@pytest.mark.parametrize("activation_type", ["uint8", "int8"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_activations_take_the_type_that_the_recipe_says(model, statistics, activation_type, symmetric):
    recipe = RECIPE.but(activation_type=activation_type, symmetric_activations=symmetric)
    quantized = quantize_graph(model, recipe, statistics)
    points = {tensor.name: tensor for tensor in quantized.graph.initializer if tensor.name.endswith("_zero_point")}
    assert points["x_zero_point"].data_type == getattr(TensorProto, activation_type.upper())
    assert error(model, quantized) < 0.02 * scores(model).var()


@pytest.mark.parametrize("given", [{"rewrites": ("common-scales",)}, {"details": ((COMMON_GRIDS, "true"),)}])
def test_common_scales_give_a_concat_and_its_inputs_one_grid(model, statistics, given):
    quantized = quantize_graph(model, RECIPE.but(**given), statistics)
    scales = {
        t.name: float(numpy_helper.to_array(t))
        for t in quantized.graph.initializer
        if t.name.endswith("_scale") and not t.dims
    }
    assert scales["c2_scale"] == scales["c3_scale"] == scales["cat_scale"]
