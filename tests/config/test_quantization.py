"""What the engine may do to the model: the range rules that settings may name."""

from __future__ import annotations

from typing import get_args

import pytest

from quantize.config import load_config
from quantize.config.annotations import choices_of
from quantize.config.quantization import OpConstraint, TensorConstraint
from quantize.errors import ConfigError
from quantize.grid.ranges.registry import setting_names


def test_settings_take_every_rule_of_the_registry() -> None:
    field = TensorConstraint.model_fields["algorithm"]
    assert choices_of(get_args(field.annotation)[0]) == setting_names()
    assert load_config(None, {}).quantization.model_wise == OpConstraint()


def test_neural_compressor_gets_what_it_has() -> None:
    constraint = OpConstraint.model_validate({"activation": {"algorithm": "kl, minmax"}, "weight": {"dtype": ["int8"]}})
    assert constraint.for_neural_compressor("quantization.model_wise") == {
        "activation": {"algorithm": ["kl", "minmax"]},
        "weight": {"dtype": ["int8"]},
    }


def test_a_rule_that_neural_compressor_does_not_have_is_refused_with_its_own() -> None:
    constraint = OpConstraint.model_validate({"activation": {"algorithm": ["mse"]}})
    with pytest.raises(ConfigError) as refused:
        constraint.for_neural_compressor("quantization.op_wise.conv1")
    assert refused.value.where == "quantization.op_wise.conv1.activation.algorithm"
    assert "one of minmax, kl, percentile" in str(refused.value)
