"""What a measurement is to do."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from quantize.measurement.timing.plan import Plan


def test_a_baseline_that_is_no_model_is_refused(tiny):
    with pytest.raises(ValidationError, match="none of the models"):
        Plan(models={"int8": tiny}, baseline="fp32")


def test_few_iterations_make_short_blocks_so_that_six_rounds_hold_them(tiny):
    assert Plan(models={"a": tiny}, iteration=60).longest_block == 5
    assert Plan(models={"a": tiny}, iteration=100).longest_block == 9
    assert Plan(models={"a": tiny}, iteration=1000).longest_block == 20
