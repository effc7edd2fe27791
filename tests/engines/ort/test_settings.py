from __future__ import annotations

import pytest

from quantize.engines.ort.quantizer import excluded_nodes
from quantize.engines.ort.settings import settings_to_try
from quantize.errors import ConfigError
from tests.engines.conftest import Tasked


def test_the_rules_for_ranges_come_first_then_what_else_can_be_set(task: Tasked) -> None:
    recipes, changes = settings_to_try(task())
    assert [recipe.range_rule for recipe in recipes] == ["minmax", "percentile:99.999", "entropy"]
    assert {(recipe.activation_type, recipe.weight_type, recipe.per_channel) for recipe in recipes} == {
        ("uint8", "int8", True)
    }
    assert changes == [{"symmetric_activations": True}, {"per_channel": False}]


def test_what_follows_the_last_layer_with_weights_stays_in_float(task: Tasked) -> None:
    recipe = settings_to_try(task())[0][0]
    excluded = excluded_nodes(recipe)
    assert {"gap", "softmax"} <= set(excluded) <= {"gap", "flatten", "softmax"}  # older quantizers take no Flatten
    assert recipe.float_nodes == tuple(excluded)


@pytest.mark.parametrize("target", ["avx2", "any"])
def test_sums_that_must_not_saturate_get_weights_of_seven_bits_or_of_uint8(task: Tasked, target: str) -> None:
    recipes, changes = settings_to_try(task({"quantization.target": target}))
    assert all(recipe.reduce_range and recipe.weight_type == "int8" for recipe in recipes)
    assert changes[0] == {"weight_type": "uint8", "reduce_range": False}


def test_seven_bits_that_the_user_asked_for_are_kept(task: Tasked) -> None:
    recipes, changes = settings_to_try(task({"quantization.reduce_range": True}))
    assert all(recipe.reduce_range for recipe in recipes)
    assert not any("weight_type" in change for change in changes)


def test_int8_activations_are_tried_if_their_kernels_are_fast(task: Tasked) -> None:
    assert {"activation_type": "int8"} in settings_to_try(task({"quantization.target": "arm64"}))[1]
    assert {"activation_type": "int8"} not in settings_to_try(task())[1]


def test_the_configuration_restricts_what_is_tried(task: Tasked) -> None:
    model_wise = {
        "activation": {"algorithm": ["kl"], "scheme": ["sym"], "dtype": ["int8"]},
        "weight": {"granularity": ["per_tensor"]},
    }
    recipes, changes = settings_to_try(task({"quantization.model_wise": model_wise}))
    (recipe,) = recipes
    assert (recipe.range_rule, recipe.symmetric_activations) == ("entropy", True)
    assert (recipe.activation_type, recipe.per_channel) == ("int8", False)
    assert changes == []


def test_ops_are_kept_in_float_by_name_pattern_and_type(task: Tasked) -> None:
    fp32 = {"activation": {"dtype": ["fp32"]}, "weight": {"dtype": ["fp32"]}}
    settings = {"quantization.op_wise": {"le.*t": fp32}, "quantization.optype_wise": {"Concat": fp32}}
    recipe = settings_to_try(task(settings))[0][0]
    assert "left" in excluded_nodes(recipe)
    assert recipe.float_op_types == ("Concat",)


@pytest.mark.parametrize(
    "settings",
    [
        {"quantization.model_wise": {"weight": {"scheme": ["asym"]}}},
        {"quantization.op_wise": {"left": {"weight": {"granularity": ["per_tensor"]}}}},
        {"quantization.op_wise": {"absent": {"weight": {"dtype": ["fp32"]}}}},
    ],
)
def test_what_the_quantizer_cannot_do_is_refused(task: Tasked, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        settings_to_try(task(settings))
