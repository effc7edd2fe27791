from __future__ import annotations

import numpy as np
import pytest

from quantize.engines.native.search.recipe_choice import (
    Comparisons,
    choose_corrections,
    choose_rule,
    choose_tensor_rules,
    improves,
    start,
)
from quantize.recipe import Recipe

RECIPE = Recipe(engine="native", range_rule="a")
ORDER = ("first", "second", "third")


def measure_of(value_of):
    """Return a measure whose 50 images all share noise, so that recipes differ by ``value_of(recipe)`` alone."""
    noise = np.random.default_rng(0).exponential(0.01, 50)
    return lambda recipe: tuple(noise + value_of(recipe))


def test_a_clear_improvement_counts_and_chance_does_not():
    rng = np.random.default_rng(1)
    before = rng.exponential(0.01, 100)
    assert improves(before, before - 0.001, errors=2.0)
    assert not improves(before, before + rng.normal(0, 0.01, 100) - 1e-5, errors=2.0)
    assert not improves(before, before, errors=0.0)


def test_one_image_that_falls_far_does_not_outweigh_many_that_rise():
    before = np.full(100, 0.01)
    after = np.full(100, 0.0104)
    before[0], after[0] = 0.5, 0.3
    assert np.mean(after) < np.mean(before)
    assert not improves(before, after, errors=0.0)


def test_what_theory_does_not_promise_has_to_improve_beyond_chance():
    noise = np.random.default_rng(2).normal(0, 0.002, 50)
    noise -= noise.mean()  # the mean gain is then 0.0001, a third of its standard error

    def measure(recipe):
        return tuple((0.1 + noise - 0.0001 if recipe.corrections else np.full(50, 0.1)) ** 2)

    tried = choose_corrections(start(RECIPE, measure), ("first",), ORDER, measure)
    assert tried.recipe.corrections == ()
    promised = choose_corrections(start(RECIPE, measure), ("first",), ORDER, measure, expected=("first",))
    assert promised.recipe.corrections == ("first",)


def test_the_rule_with_the_least_divergence_wins():
    choice = choose_rule(
        start(RECIPE, measure_of(lambda recipe: {"a": 3, "b": 1, "c": 2}[recipe.range_rule])),
        ("a", "b", "c"),
        measure_of(lambda recipe: {"a": 3, "b": 1, "c": 2}[recipe.range_rule]),
    )
    assert choice.recipe.range_rule == "b"


def test_only_corrections_that_help_are_kept_in_the_order_of_application():
    gain = {"third": 1.0, "first": 0.5, "second": -0.5}
    measure = measure_of(lambda recipe: 5 - sum(gain[name] for name in recipe.corrections))
    choice = choose_corrections(start(RECIPE, measure), ("third", "second", "first"), ORDER, measure)
    assert choice.recipe.corrections == ("first", "third")


def test_a_tensor_gets_a_rule_of_its_own_only_if_that_helps():
    measure = measure_of(lambda recipe: 1.0 - (("t", "b") in recipe.range_rules) + (("u", "b") in recipe.range_rules))
    choice = choose_tensor_rules(start(RECIPE, measure), ("u", "t"), ("a", "b"), measure)
    assert choice.recipe.range_rules == (("t", "b"),)


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
    other = RECIPE.but(range_rule="b")
    divergences = {RECIPE.id: (0.01, 0.01, 0.01, 0.01), other.id: near}
    comparisons = Comparisons(lambda recipe: divergences[recipe.id])
    assert not comparisons.is_nearer(other, RECIPE, compare=False)
    assert comparisons.is_nearer(other, RECIPE) is is_nearer
    assert comparisons.is_nearer(other, RECIPE, compare=False) is is_nearer
