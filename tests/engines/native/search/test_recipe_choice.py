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
    return lambda recipe, is_hopeless=None: tuple(noise + value_of(recipe))


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

    def measure(recipe, is_hopeless=None):
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


def test_what_is_far_worse_on_the_first_images_is_given_up_and_what_may_still_win_is_not():
    noise = np.random.default_rng(0).exponential(0.01, 50)
    seen = {}

    def measure(recipe, is_hopeless=None):
        worse = {"a": 0.0, "b": 0.05, "c": -0.001}[recipe.range_rule]
        first, all_images = tuple(noise[:25] + worse), tuple(noise + worse)
        gives_up = is_hopeless is not None and is_hopeless(first)
        seen[recipe.range_rule] = first if gives_up else all_images
        return seen[recipe.range_rule]

    noise += 0.002
    choice = choose_rule(start(RECIPE, measure), ("a", "b", "c"), measure)
    assert choice.recipe.range_rule == "c"
    assert {rule: len(images) for rule, images in seen.items()} == {"a": 50, "b": 25, "c": 50}


def test_corrections_made_for_one_another_are_tried_at_once_and_alone_only_where_that_is_no_gain():
    tried = []

    def measure_with(gains):
        def value_of(recipe):
            tried.append(recipe.corrections)
            return 5 - gains.get(recipe.corrections, 0.0)

        return measure_of(value_of)

    pair = {"expected": ("first", "second"), "together": ("first", "second")}
    measure = measure_with({("first", "second"): 1.0})
    choice = choose_corrections(start(RECIPE, measure), ("first", "second"), ORDER, measure, **pair)
    assert choice.recipe.corrections == ("first", "second")
    assert tried == [(), ("first", "second")]
    measure = measure_with({("first", "second"): -1.0, ("second",): 0.5})
    choice = choose_corrections(start(RECIPE, measure), ("first", "second"), ORDER, measure, **pair)
    assert choice.recipe.corrections == ("second",)


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
    comparisons = Comparisons(lambda recipe, is_hopeless=None: divergences[recipe.id])
    assert not comparisons.is_nearer(other, RECIPE, compare=False)
    assert comparisons.is_nearer(other, RECIPE) is is_nearer
    assert comparisons.is_nearer(other, RECIPE, compare=False) is is_nearer
