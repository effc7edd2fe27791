from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quantize.evaluation.intervals import Interval, images_needed, images_needed_for_rate, wilson
from quantize.evaluation.score_intervals import difference_bounds


def test_wilson_is_scipys_for_whole_counts() -> None:
    expected = stats.binomtest(336, 500).proportion_ci(0.95, method="wilson")
    interval = wilson(336, 500)
    assert (interval.low, interval.high) == (expected.low, expected.high)
    assert interval.low == pytest.approx(0.6297, abs=5e-5)
    assert interval.high == pytest.approx(0.7117, abs=5e-5)


@given(st.integers(1, 3000), st.floats(0, 1))
def test_a_count_between_whole_numbers_has_an_interval_that_holds_it(n: int, share: float) -> None:
    count = n * share
    interval = wilson(count, n)
    assert interval.low <= wilson(int(count), n).low + 1e-15
    assert interval.low - 1e-12 <= count / n <= interval.high + 1e-12


def test_an_interval_of_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        wilson(0, 0)


def test_an_interval_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="from 1"):
        Interval(low=1, high=0, confidence=0.95)


# a baseline of 56.85 % may lose 1 % of it; 5 % of the images are discordant
_TOLERANCE = 0.5685 * 0.01
_DISCORDANT = 0.05


@pytest.mark.parametrize(
    ("drop", "expected"),
    [
        (0.0, 4_200),  # no true drop: certified
        (0.0037, 34_000),  # the published drop: certified
        (0.05, 65),  # broken: rejected
    ],
)
def test_even_odds_at_95_percent_need_the_known_numbers(drop: float, expected: int) -> None:
    needed = images_needed(margin=_TOLERANCE - drop, discordant=_DISCORDANT, drop=drop, confidence=0.95, power=0.5)
    assert needed == pytest.approx(expected, rel=0.015, abs=1)


def test_80_percent_power_needs_about_2_3_times_as_many_as_even_odds() -> None:
    even, likely = (
        images_needed(margin=_TOLERANCE, discordant=_DISCORDANT, drop=0.0, confidence=0.95, power=power)
        for power in (0.5, 0.8)
    )
    assert even is not None
    assert likely is not None
    assert likely / even == pytest.approx(2.3, abs=0.05)


@pytest.mark.parametrize("drop", [0.0, 0.0037])
@pytest.mark.parametrize("power", [0.5, 0.8])
def test_with_that_many_images_the_score_interval_certifies_as_often_as_promised(drop: float, power: float) -> None:
    n = images_needed(margin=_TOLERANCE - drop, discordant=_DISCORDANT, drop=drop, confidence=0.95, power=power)
    assert n is not None
    generator = np.random.default_rng(7)
    lost = generator.binomial(n, (_DISCORDANT + drop) / 2, 10_000)
    gained = generator.binomial(n - lost, (_DISCORDANT - drop) / 2 / (1 - (_DISCORDANT + drop) / 2))
    _, high = difference_bounds(lost, gained, n, float(stats.norm.isf(0.05)))
    assert (high < _TOLERANCE).mean() == pytest.approx(power, abs=0.02)


def test_no_number_of_images_decides_a_drop_at_the_tolerance() -> None:
    assert images_needed(margin=0.0, discordant=0.05, drop=0.01, confidence=0.95) is None
    assert images_needed_for_rate(rate=0.95, threshold=0.95, confidence=0.95) is None


@given(st.floats(0.001, 0.02), st.floats(0.02, 0.2), st.floats(0.6, 0.99))
def test_a_smaller_margin_more_discordance_and_more_confidence_need_more(
    margin: float, discordant: float, confidence: float
) -> None:
    def needed(margin: float, discordant: float, confidence: float) -> int:
        images = images_needed(margin=margin, discordant=discordant, drop=0.0, confidence=confidence)
        assert images is not None
        return images

    base = needed(margin, discordant, confidence)
    assert needed(margin / 2, discordant, confidence) >= base
    assert needed(margin, discordant * 2, confidence) >= base
    assert needed(margin, discordant, confidence + 0.005) >= base


def test_a_drop_larger_than_the_discordant_share_is_impossible() -> None:
    with pytest.raises(ValueError, match="discordant"):
        images_needed(margin=0.01, discordant=0.01, drop=0.02, confidence=0.95)


def test_agreement_is_distinguished_from_its_threshold_as_often_as_promised() -> None:
    n = images_needed_for_rate(rate=0.97, threshold=0.95, confidence=0.95)
    assert n is not None
    counts = np.random.default_rng(3).binomial(n, 0.97, 10_000)
    z = (counts / n - 0.95) / np.sqrt(0.95 * 0.05 / n)
    assert (z > stats.norm.isf(0.05)).mean() == pytest.approx(0.8, abs=0.03)
