from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, numpy_helper

from quantize.calibration.collect import collect
from quantize.data.batches import Batch
from quantize.engines.native.builder.activation_grids import COMMON_GRIDS, activation_grids
from quantize.engines.native.builder.builder import NativeBuilder
from tests.engines.native.builder.small_model import BATCHES, IMAGES, RECIPE, error, quantize_graph, scores


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


def test_a_builder_that_remembers_ranges_gives_the_grids_of_one_that_does_not(model, statistics):
    fewer = collect(model, [Batch(BATCHES[0].ids[:5], IMAGES[:5], None)])
    builder = NativeBuilder(Path("unused"))
    for given in (statistics, fewer, statistics):
        for recipe in (RECIPE, RECIPE.but(range_rule="minmax"), RECIPE.but(activation_type="int8"), RECIPE):
            remembered = builder.grids(model, recipe, given)
            fresh = activation_grids(model, recipe, given)
            assert remembered.keys() == fresh.keys()
            assert all(remembered[name].same_as(grid) for name, grid in fresh.items())


def test_grids_of_tensors_that_only_float_nodes_touch_cannot_matter(model, statistics):
    builder = NativeBuilder(Path("unused"))
    floats = RECIPE.but(float_nodes=tuple(node.name for node in model.graph.node[-2:]))
    between = next(name for name in model.graph.node[-2].output)
    whole, used = (of(model, floats, statistics) for of in (builder.grids, builder.used_grids))
    assert between in whole
    assert between not in used
    assert all(grid.same_as(whole[name]) for name, grid in used.items())
    changed = floats.but(range_rules=((between, "entropy"),))
    unchanged, other = (builder.graph(model, recipe, statistics) for recipe in (floats, changed))
    assert unchanged.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
