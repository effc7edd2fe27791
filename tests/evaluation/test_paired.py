from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from quantize.errors import DataError
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.outcomes import Outcomes
from quantize.evaluation.paired import PairedComparison, compare

Made = Callable[..., Evaluation]


def _from_counts(made: Made, both: int, lost: int, gained: int, neither: int) -> tuple[Evaluation, Evaluation]:
    baseline = [0] * both + [0] * lost + [1] * gained + [1] * neither
    candidate = [0] * both + [1] * lost + [0] * gained + [1] * neither
    return made(baseline), made(candidate)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], list[int]]:
    n = draw(st.integers(40, 80))
    small = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    return draw(small), draw(small), draw(small), draw(small)


def test_discordant_images_are_counted_both_ways(made: Made) -> None:
    comparison = compare(*_from_counts(made, 300, 8, 4, 88))
    assert (comparison.n, comparison.both, comparison.lost, comparison.gained, comparison.neither) == (
        400,
        300,
        8,
        4,
        88,
    )
    assert comparison.drop == pytest.approx(0.01)
    assert comparison.relative_drop == pytest.approx(4 / 308)
    assert comparison.undecided == 0
    assert comparison.drop in comparison.drop_interval
    assert comparison.drop in comparison.drop_bootstrap
    assert comparison.relative_drop_interval is not None
    assert comparison.relative_drop is not None
    assert comparison.relative_drop in comparison.relative_drop_interval


def test_the_p_value_is_the_exact_binomial_one(made: Made) -> None:
    assert compare(*_from_counts(made, 0, 9, 1, 0)).p_value == pytest.approx(22 / 1024)
    assert compare(*_from_counts(made, 5, 0, 0, 5)).p_value == 1.0


def test_a_tie_at_the_decision_is_wrong_in_the_counts_and_half_right_in_the_headline(made: Made) -> None:
    baseline, candidate = made([0] * 100), made([0] * 100, ties=[1] * 10 + [0] * 90)
    comparison = compare(baseline, candidate)
    assert (comparison.lost, comparison.gained, comparison.undecided) == (10, 0, 10)
    assert comparison.drop == pytest.approx(0.05)
    assert comparison.certain_drop == pytest.approx(0.10)


def test_ties_inside_the_first_five_do_not_touch_top_5(made: Made) -> None:
    comparison = compare(made([0] * 50), made([1] * 50, ties=[2] * 50), k=5)
    assert (comparison.both, comparison.undecided, comparison.drop) == (50, 0, 0.0)


@settings(max_examples=25)
@given(case=pairs())
def test_swapping_the_models_changes_signs_and_nothing_else(
    made: Made, case: tuple[list[int], list[int], list[int], list[int]]
) -> None:
    baseline, candidate = made(case[0], ties=case[1]), made(case[2], ties=case[3])
    there, back = compare(baseline, candidate), compare(candidate, baseline)
    assert (there.both, there.lost, there.gained, there.neither) == (back.both, back.gained, back.lost, back.neither)
    assert there.p_value == back.p_value
    assert there.drop == -back.drop
    assert there.drop_interval.low == pytest.approx(-back.drop_interval.high, abs=1e-12)
    assert there.undecided == back.undecided


@settings(max_examples=25)
@given(case=pairs(), seed=st.integers(0, 1000))
def test_the_order_of_the_images_changes_no_figure(
    made: Made, case: tuple[list[int], list[int], list[int], list[int]], seed: int
) -> None:
    baseline, candidate = made(case[0], ties=case[1]), made(case[2], ties=case[3])
    order = np.random.default_rng(seed).permutation(baseline.n)
    assert compare(baseline.take(order), candidate.take(order)) == compare(baseline, candidate)
    assert compare(baseline, candidate.take(order)) == compare(baseline, candidate)


def test_a_model_compared_with_itself_loses_nothing(made: Made) -> None:
    outcomes = made([0, 1, 0, 5] * 100, ties=[0, 0, 1, 2] * 100)
    comparison = compare(outcomes, outcomes)
    assert (comparison.lost, comparison.gained, comparison.drop, comparison.relative_drop) == (0, 0, 0, 0)
    assert comparison.drop_interval.low < 0 < comparison.drop_interval.high
    assert comparison.drop_bootstrap.low < 0 < comparison.drop_bootstrap.high


def test_a_baseline_that_gets_nothing_right_has_no_relative_drop(made: Made) -> None:
    comparison = compare(made([1] * 20), made([0] * 20))
    assert comparison.relative_drop is None
    assert comparison.relative_drop_interval is None
    assert comparison.relative_drop_bootstrap is None


def test_different_images_are_not_compared(made: Made) -> None:
    with pytest.raises(DataError, match="different images") as caught:
        compare(made([0, 0], ids=["a", "b"]), made([0, 0], ids=["a", "c"]))
    assert "2 images in one of them only, such as b, c" in str(caught.value)


def test_different_labels_are_not_compared(made: Made) -> None:
    with pytest.raises(DataError, match="different labels"):
        compare(made([0, 0], labels=[1, 2]), made([0, 0], labels=[1, 3]))


def test_accuracy_without_labels_is_not_compared() -> None:
    ones = np.ones(3, np.int64)
    outcomes = Outcomes(("a", "b", "c"), None, None, None, ones, ones.copy(), np.ones(3))
    evaluation = Evaluation("f", 10, outcomes, (), None, constant_output=False)
    with pytest.raises(DataError, match="labels"):
        compare(evaluation, evaluation)


def test_the_bootstrap_of_tied_outcomes_is_the_one_over_images(made: Made) -> None:
    generator = np.random.default_rng(5)
    n = 2000
    baseline = made(generator.integers(0, 2, n))
    candidate = made(generator.integers(0, 2, n), ties=generator.integers(0, 3, n))
    comparison = compare(baseline, candidate, seed=3)
    losses = np.where(baseline.outcomes.rank == 0, 1.0, 0.0) - np.where(
        candidate.outcomes.rank == 0, 1 / (1 + np.asarray(candidate.outcomes.ties)), 0.0
    )
    error = losses.std() / np.sqrt(n)
    z = stats.norm.isf(0.025)
    assert comparison.drop_bootstrap.low == pytest.approx(losses.mean() - z * error, abs=0.1 * error)
    assert comparison.drop_bootstrap.high == pytest.approx(losses.mean() + z * error, abs=0.1 * error)


def test_the_bootstrap_depends_on_its_seed_only(made: Made) -> None:
    baseline, candidate = _from_counts(made, 300, 20, 10, 70)
    assert compare(baseline, candidate, seed=1) == compare(baseline, candidate, seed=1)
    assert (
        compare(baseline, candidate, seed=1).relative_drop_bootstrap
        != compare(baseline, candidate, seed=2).relative_drop_bootstrap
    )


def test_fifty_thousand_images_are_no_more_work_than_their_distinct_outcomes(made: Made) -> None:
    generator = np.random.default_rng(0)
    baseline = made(generator.integers(0, 2, 50_000), ties=generator.integers(0, 2, 50_000))
    comparison = compare(baseline, made(generator.integers(0, 2, 50_000)), k=1)
    assert comparison.n == 50_000
    assert comparison.drop in comparison.drop_bootstrap


def test_a_comparison_survives_json(made: Made) -> None:
    comparison = compare(*_from_counts(made, 300, 8, 4, 88))
    assert PairedComparison.model_validate_json(comparison.model_dump_json()) == comparison
