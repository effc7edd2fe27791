from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from quantize.evaluation.score_intervals import (
    CONTINUITY,
    difference_bounds,
    difference_statistic,
    paired_difference,
    ratio_bounds,
    ratio_statistic,
    relative_drop_interval,
)

_Z = float(stats.norm.isf(0.025))


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 3000))
    lost = draw(st.integers(0, n))
    return lost, draw(st.integers(0, n - lost)), n


def test_the_variance_comes_from_the_likelihood_under_the_hypothesis() -> None:
    lost, gained, n, drop = 30, 12, 400, 0.02

    def minus_log_likelihood(q: float) -> float:
        return -float(lost * np.log(q + drop) + gained * np.log(q) + (n - lost - gained) * np.log(1 - 2 * q - drop))

    q = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(1e-9, 0.48), method="bounded", options={"xatol": 1e-12}
    ).x
    expected = (lost - gained - n * drop - CONTINUITY) / np.sqrt(n * (2 * q + drop - drop**2))
    statistic = difference_statistic(np.array([30.0]), np.array([12.0]), n, np.array([drop]))
    assert statistic[0] == pytest.approx(expected, rel=1e-6)


def test_without_the_continuity_correction_the_bounds_are_the_published_ones() -> None:
    # Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33:2850-2875, table II (airway reactivity)
    low, high = difference_bounds([1], [7], 21, _Z, continuity=0)
    assert (round(low[0], 3), round(high[0], 3)) == (-0.517, -0.026)


@given(counts())
def test_swapping_the_models_turns_the_interval_round(case: tuple[int, int, int]) -> None:
    lost, gained, n = case
    interval, mirrored = paired_difference(lost, gained, n), paired_difference(gained, lost, n)
    assert interval.low == pytest.approx(-mirrored.high, abs=1e-12)
    assert interval.high == pytest.approx(-mirrored.low, abs=1e-12)


@given(counts())
def test_the_interval_holds_the_estimate_and_has_width(case: tuple[int, int, int]) -> None:
    lost, gained, n = case
    interval = paired_difference(lost, gained, n)
    assert -1 <= interval.low <= (lost - gained) / n <= interval.high <= 1
    assert interval.high > interval.low


@given(counts(), st.floats(0.5, 0.9), st.floats(0.91, 0.999))
def test_more_confidence_never_narrows(case: tuple[int, int, int], low: float, high: float) -> None:
    narrow, wide = paired_difference(*case, low), paired_difference(*case, high)
    assert wide.low <= narrow.low + 1e-12
    assert narrow.high <= wide.high + 1e-12


@given(counts())
def test_the_bounds_solve_the_equation_that_defines_them(case: tuple[int, int, int]) -> None:
    lost, gained, n = case
    low, high = difference_bounds([lost], [gained], n, _Z)
    b, c = np.array([float(lost)]), np.array([float(gained)])
    if low[0] > -1:
        assert difference_statistic(b, c, n, low)[0] == pytest.approx(_Z, abs=1e-3)
    if high[0] < 1:
        assert difference_statistic(b, c, n, high)[0] == pytest.approx(-_Z, abs=1e-3)


def test_no_discordant_image_still_leaves_room_for_a_drop() -> None:
    interval = paired_difference(0, 0, 400)
    assert interval.high == pytest.approx(0.0107, abs=1e-4)
    assert interval.low == pytest.approx(-interval.high)


def test_counts_of_more_images_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match="lost"):
        paired_difference(3, 3, 5)


@st.composite
def ratio_counts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    n = draw(st.integers(1, 3000))
    both = draw(st.integers(0, n))
    lost = draw(st.integers(0 if both else 1, n - both) if both < n else st.just(0))
    return both, lost, draw(st.integers(0, n - both - lost)), n


def test_without_the_continuity_correction_the_bounds_of_the_ratio_are_the_published_ones() -> None:
    # Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33:2850-2875, table II (airway reactivity)
    low, high = ratio_bounds([1], [7], [1], 21, _Z, continuity=0)
    assert (round(low[0], 3), round(high[0], 3)) == (0.065, 0.907)


@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.1])
def test_the_variance_of_the_ratio_comes_from_the_likelihood_under_the_hypothesis(ratio: float) -> None:
    both, lost, gained, n = 50, 10, 5, 100

    def minus_log_likelihood(parameters: NDArray[Any]) -> float:
        p_gained, p_both = parameters
        p_lost = (p_both + p_gained) / ratio - p_both
        rest = 1 - p_gained - p_both - p_lost
        if min(p_gained, p_both, p_lost, rest) <= 0:
            return 1e9
        cells = np.log([p_both, p_lost, p_gained, rest])
        return float(-(np.array([both, lost, gained, n - both - lost - gained]) * cells).sum())

    # (0.07, 0.5) is allowed under each of the three ratios
    likeliest = optimize.minimize(
        minus_log_likelihood, [0.07, 0.5], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13}
    ).x
    p_gained, p_lost = likeliest[0], (likeliest[1] + likeliest[0]) / ratio - likeliest[1]
    expected = (both + gained - ratio * (both + lost)) / np.sqrt(n * ratio * (p_gained + p_lost))
    a, b, c = (np.array([float(count)]) for count in (both, lost, gained))
    statistic = ratio_statistic(a, b, c, n, np.array([ratio]), continuity=0)
    assert statistic[0] == pytest.approx(expected, rel=1e-6)


@given(ratio_counts())
def test_swapping_the_models_turns_the_ratio_round(case: tuple[int, int, int, int]) -> None:
    both, lost, gained, n = case
    low, high = ratio_bounds([both], [lost], [gained], n, _Z)
    if both + gained == 0:
        assert low[0] == 0
        return
    swapped_low, swapped_high = ratio_bounds([both], [gained], [lost], n, _Z)
    assert low[0] * swapped_high[0] == pytest.approx(1, rel=1e-9)
    assert high[0] * swapped_low[0] == pytest.approx(1, rel=1e-9)


@given(ratio_counts())
def test_the_interval_holds_the_estimate_and_never_passes_a_total_loss(case: tuple[int, int, int, int]) -> None:
    both, lost, gained, n = case
    interval = relative_drop_interval(both, lost, gained, n)
    assert interval is not None
    assert interval.low <= (lost - gained) / (both + lost) + 1e-12
    assert (lost - gained) / (both + lost) - 1e-12 <= interval.high <= 1


@given(ratio_counts(), st.floats(0.5, 0.9), st.floats(0.91, 0.999))
def test_more_confidence_never_narrows_a_ratio(case: tuple[int, int, int, int], low: float, high: float) -> None:
    narrow, wide = relative_drop_interval(*case, low), relative_drop_interval(*case, high)
    assert narrow is not None
    assert wide is not None
    assert wide.low <= narrow.low + 1e-9
    assert narrow.high <= wide.high + 1e-9


def test_there_is_no_relative_drop_from_nothing() -> None:
    assert relative_drop_interval(0, 0, 5, 20) is None


def test_with_many_images_it_is_the_difference_over_the_baseline() -> None:
    interval = relative_drop_interval(28_000, 1300, 1200, 50_000)
    assert interval is not None
    middle, half = 100 / 29_300, 1.96 * np.sqrt(2500) / 29_300
    assert interval.low == pytest.approx(middle - half, abs=5e-5)
    assert interval.high == pytest.approx(middle + half, abs=5e-5)
