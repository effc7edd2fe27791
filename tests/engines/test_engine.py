from __future__ import annotations

import pytest

from quantize.engines.engine import Failure, Trial
from quantize.recipe import Recipe


def test_a_trial_needs_a_candidate_or_a_failure():
    with pytest.raises(ValueError, match="either"):
        Trial(0, Recipe(engine="inc"), None, 0.5, 1.0)


def test_a_trial_takes_no_nan_for_a_metric():
    with pytest.raises(ValueError, match="nan"):
        Trial(0, Recipe(engine="inc"), None, float("nan"), 1.0, Failure("evaluate", "it broke"))
