from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from quantize.evaluation.difference import difference_bounds, difference_statistic, paired_difference
from quantize.evaluation.score_inversion import CONTINUITY

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
    found = difference_statistic(np.array([30.0]), np.array([12.0]), n, np.array([drop]))
    assert found[0] == pytest.approx(expected, rel=1e-6)


def test_without_the_continuity_correction_the_bounds_are_the_published_ones() -> None:
    # Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33:2850-2875, table II (airway reactivity)
    low, high = difference_bounds([1], [7], 21, _Z, continuity=0)
    assert (round(low[0], 3), round(high[0], 3)) == (-0.517, -0.026)


@given(counts())
def test_swapping_the_models_turns_the_interval_round(case: tuple[int, int, int]) -> None:
    lost, gained, n = case
    one, other = paired_difference(lost, gained, n), paired_difference(gained, lost, n)
    assert one.low == pytest.approx(-other.high, abs=1e-12)
    assert one.high == pytest.approx(-other.low, abs=1e-12)


@given(counts())
def test_the_interval_holds_the_estimate_and_has_width(case: tuple[int, int, int]) -> None:
    lost, gained, n = case
    found = paired_difference(lost, gained, n)
    assert -1 <= found.low <= (lost - gained) / n <= found.high <= 1
    assert found.high > found.low


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
    found = paired_difference(0, 0, 400)
    assert found.high == pytest.approx(0.0107, abs=1e-4)
    assert found.low == pytest.approx(-found.high)


def test_counts_of_more_images_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match="lost"):
        paired_difference(3, 3, 5)
