from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.engines.inc.decision import (
    OpDecision,
    calibration_images_of,
    container_of,
    decisions_of,
    exact_op_names,
    kept_int8,
    recipe_of,
)
from quantize.recipe import Recipe

ACTIVATION = {"dtype": "uint8", "quant_mode": "static", "scheme": "asym", "granularity": "per_tensor"}
INT8 = {
    "activation": {**ACTIVATION, "algorithm": "minmax"},
    "weight": {"dtype": "int8", "scheme": "sym", "granularity": "per_channel", "algorithm": "minmax"},
}
FP32 = {"activation": {"dtype": "fp32", "quant_mode": "fp32"}, "weight": {"dtype": "fp32"}}


def decision(name: str, op_type: str = "Conv", state: dict[str, dict[str, str]] = INT8) -> OpDecision:
    return OpDecision.from_state(name, op_type, state)


def recipe(*decisions: OpDecision) -> Recipe:
    return recipe_of(decisions, container="qlinear", reduce_range=False, calibration_images=100)


words = st.text("abc/._0123456789 é\"'[(", min_size=1, max_size=8)
states = st.sampled_from([INT8, FP32, {"activation": ACTIVATION}])
all_decisions = st.lists(
    st.builds(decision, words, st.sampled_from(["Conv", "Relu", "Gemm"]), states), unique_by=lambda op: op.name
)


@given(all_decisions)
def test_a_recipe_keeps_every_decision(decisions: list[OpDecision]):
    assert sorted(decisions_of(recipe(*decisions)), key=lambda op: op.name) == sorted(decisions, key=lambda op: op.name)


@given(all_decisions)
def test_a_recipe_of_its_own_decisions_is_the_same_recipe(decisions: list[OpDecision]):
    first = recipe(*decisions)
    assert recipe(*decisions_of(first)).id == first.id


def test_ops_in_fp32_are_named_in_the_recipe():
    decided = recipe(
        decision("c2", state=FP32), decision("c1", state=FP32), decision("c0"), decision("p", "Pool", FP32)
    )
    assert decided.float_nodes == ("c1", "c2", "p")
    assert decided.float_op_types == ("Pool",)
    assert decided.per_channel


def test_the_recipe_says_what_it_needs_to_be_built_again():
    decided = recipe(decision("c"))
    assert calibration_images_of(decided) == 100
    assert container_of(decided) == "qlinear"


def test_the_kept_share_gives_away_a_model_put_back_to_fp32():
    kept = kept_int8(recipe(decision("c1", state=FP32), decision("c2", state=FP32), decision("r", "Relu")))
    assert (kept.ops, kept.all_ops, kept.weighted, kept.all_weighted) == (1, 3, 0, 2)


def test_names_are_taken_literally_when_a_recipe_is_built_again():
    assert list(exact_op_names(recipe(decision("a.b")))) == [r"a\.b"]


def test_another_engines_recipe_is_refused():
    with pytest.raises(ValueError, match="native"):
        decisions_of(Recipe(engine="native"))
