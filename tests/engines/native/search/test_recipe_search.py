"""What is chosen by comparison where there is time for some comparisons only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from quantize.engines.native.search.recipe_search import RecipeSearch
from quantize.engines.native.search.settings import SearchSettings
from quantize.recipe import Recipe

Corrections = tuple[str, ...]
BASE = Recipe(engine="native", range_rule="minmax")


class _Search(RecipeSearch):
    """A search on a model without normalizations or a head, whose recipes are as near to fp32 as a table says."""

    first = BASE
    _smooths_normalizations = False

    def _described(self, recipe: Recipe) -> str:
        return ", ".join(recipe.corrections)


def chosen(nearness: Mapping[Corrections, float], wanted: Corrections, comparisons: int) -> Corrections:
    """Return the corrections that are chosen where there is time for so many comparisons."""
    measured: list[Corrections] = []

    def measure(recipe: Recipe, *_: Any) -> Sequence[float]:
        measured.append(recipe.corrections)
        return [nearness[recipe.corrections] * (1 + number / 100) for number in range(16)]

    settings = SearchSettings(recipe=BASE, range_rules=("minmax",), corrections=wanted)
    builder: Any = SimpleNamespace()
    search = _Search(builder, measure, settings, has_time=lambda _: len(measured) <= comparisons)
    best = search.best()
    assert search.variants(best.recipe) is not None, "what was chosen counts as compared"
    return best.recipe.corrections


NEARNESS = {(): 1.0, ("rounding", "bias"): 1.2, ("rounding",): 0.8, ("bias",): 1.1}


@pytest.mark.parametrize(
    ("comparisons", "corrections"),
    [
        (0, ("bias",)),  # costs next to nothing, and makes no error; rounding takes long
        (1, ("bias",)),
        (2, ("rounding",)),  # with the bias it was compared, and was no better
        (9, ("rounding",)),
    ],
)
def test_where_time_is_up_what_is_next_to_free_is_taken_unless_it_was_found_no_better(
    comparisons: int, corrections: Corrections
) -> None:
    assert chosen(NEARNESS, ("rounding", "bias"), comparisons) == corrections
