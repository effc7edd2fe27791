from __future__ import annotations

import pytest

from quantize.engines.native.search.candidates import Candidates
from quantize.engines.native.search.settings import SearchSettings
from quantize.recipe import Recipe

FAR, NEAR = Recipe(engine="native", range_rule="minmax"), Recipe(engine="native", range_rule="mse")


@pytest.mark.parametrize(
    ("near", "is_nearer"),
    [
        ((0.005, 0.005, 0.005, 0.005), True),
        ((0.0098, 0.0098, 0.0098, 0.0098), False),  # by 1 % only, however sure that is
        ((0.0001, 0.03, 0.0001, 0.012), False),  # by chance
        ((0.02, 0.02, 0.02, 0.02), False),
    ],
)
def test_a_candidate_is_nearer_to_fp32_by_more_than_chance_and_by_ten_percent(near, is_nearer):
    divergences = {FAR.id: (0.01, 0.01, 0.01, 0.01), NEAR.id: near}
    candidates = Candidates(None, SearchSettings(recipe=FAR), lambda recipe: divergences[recipe.id])
    assert candidates.nearer(NEAR, FAR) is is_nearer
