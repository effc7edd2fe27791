from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from quantize.criterion import Criterion
from quantize.engines.native.search.sequential_test import decide, log_capital, race_blocks, race_order
from quantize.evaluation.score_intervals import ratio_bounds

Answers = NDArray[np.float64]

_ACCURACY = 0.672
_unhurried = settings(deadline=None)  # a busy machine is no reason to fail


def _images(n: int, lost: int, gained: int, seed: int, accuracy: float = _ACCURACY) -> tuple[Answers, Answers]:
    """Return both models' right answers on n images in random order, with exactly these discordant ones."""
    right = round(n * accuracy)
    baseline = (np.arange(n) < right).astype(float)
    candidate = baseline.copy()
    candidate[:lost] = 0
    candidate[right : right + gained] = 1
    order = race_order(n, seed)
    return baseline[order], candidate[order]


def _race(baseline: Answers, candidate: Answers, floor: float, confidence: float = 0.95) -> tuple[str, int]:
    """Run a race block by block; return how it ended and after how many images."""
    for block in race_blocks(len(baseline)):
        state = decide(baseline, candidate[: block.stop], floor, confidence=confidence)
        if state.outcome != "continue":
            return state.outcome, state.seen
    raise AssertionError("a race ends with its last image")


@st.composite
def races(draw: st.DrawFn) -> tuple[Answers, Answers, float]:
    n = draw(st.integers(1, 120))
    chances = st.lists(st.sampled_from([0.0, 1 / 3, 0.5, 1.0]), min_size=n, max_size=n)
    return np.array(draw(chances)), np.array(draw(chances)), draw(st.floats(0, 1))


@_unhurried
@given(races())
def test_a_race_ends_with_its_last_image_and_by_the_point_verdict(
    case: tuple[Answers, Answers, float],
) -> None:
    baseline, candidate, floor = case
    state = decide(baseline, candidate, floor)
    assert state.certain
    assert state.lowest == state.highest == pytest.approx(candidate.mean())
    if abs(candidate.mean() - floor) > 1e-9:
        assert state.outcome == ("pass" if candidate.mean() > floor else "reject")


@_unhurried
@given(races(), st.floats(0, 1))
def test_what_is_certain_stays_so_whatever_follows(case: tuple[Answers, Answers, float], share: float) -> None:
    baseline, candidate, floor = case
    seen = int(share * len(baseline))
    state = decide(baseline, candidate[:seen], floor)
    if state.certain:
        rest = len(baseline) - seen
        for ending in (np.zeros(rest), np.ones(rest), candidate[seen:]):
            final = decide(baseline, np.append(candidate[:seen], ending), floor)
            assert final.outcome == state.outcome


@_unhurried
@given(races(), st.floats(0, 1))
def test_nobody_passes_before_it_is_certain(case: tuple[Answers, Answers, float], share: float) -> None:
    baseline, candidate, floor = case
    state = decide(baseline, candidate[: int(share * len(baseline))], floor)
    assert state.certain or state.outcome != "pass"
    assert (state.log_capital is None) == state.certain


@_unhurried
@given(races(), st.floats(0, 1))
def test_once_rejected_with_confidence_more_images_only_make_it_certain(
    case: tuple[Answers, Answers, float], share: float
) -> None:
    baseline, candidate, floor = case
    seen = int(share * len(baseline))
    if decide(baseline, candidate[:seen], floor).outcome == "reject":
        for more in range(seen, len(baseline)):
            state = decide(baseline, candidate[:more], floor)
            assert state.outcome == "reject" or (state.certain and state.outcome == "pass")


def test_exactly_the_floor_passes_despite_rounding() -> None:
    baseline = np.ones(300)
    candidate = np.append(np.full(297, 1.0), np.zeros(3))
    assert decide(baseline, candidate, 1 - 0.01).outcome == "pass"
    thirds = np.full(300, 1 / 3)
    assert decide(thirds, thirds, 1 / 3).outcome == "pass"


@pytest.mark.parametrize("gap", [-1e-8, -5e-10, 0.0, 5e-10, 1e-8])
@given(st.integers(1, 2_000), st.integers(0, 20))
@_unhurried
def test_at_its_end_a_race_takes_for_met_what_the_criterion_does(gap: float, n: int, lost: int) -> None:
    baseline, candidate = _images(n, min(lost, round(n * _ACCURACY)), 0, seed=0)
    mean = float(candidate.mean())
    outcome = decide(baseline, candidate, mean + gap).outcome
    assert outcome == ("pass" if Criterion("agreement", minimum=mean + gap).met(mean) else "reject")


def test_a_broken_model_is_rejected_long_before_the_end() -> None:
    ends = [_race(*_images(5000, 750, 0, seed), floor=0.99 * _ACCURACY) for seed in range(30)]
    assert {outcome for outcome, _ in ends} == {"reject"}
    assert np.median([seen for _, seen in ends]) <= 128


def test_a_model_that_loses_nothing_is_never_rejected() -> None:
    baseline, candidate = _images(400, 0, 0, 0)
    assert _race(baseline, candidate, floor=0.99 * _ACCURACY)[0] == "pass"


@pytest.mark.parametrize("n", [400, 1000])
@pytest.mark.parametrize("discordant", [0.02, 0.05, 0.10])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_candidate_just_good_enough_is_rejected_at_most_as_often_as_the_confidence_allows(
    n: int, discordant: float, confidence: float
) -> None:
    allowed = math.floor(0.01 * _ACCURACY * n)  # as many lost images as a relative 1 % allows: it would just pass
    gained = round((discordant * n - allowed) / 2)
    lost = gained + allowed
    drops = np.concatenate([np.ones(lost), -np.ones(gained), np.zeros(n - lost - gained)])
    orders = np.random.default_rng(1).permuted(np.tile(drops, (2000, 1)), axis=1)
    rejected = log_capital(orders, n, allowed) >= -math.log(1 - confidence)
    assert rejected.mean() <= 1 - confidence
    worse = np.random.default_rng(2).permuted(np.tile(np.where(np.arange(n) < 0.15 * n, 1.0, 0.0), (200, 1)), axis=1)
    assert (log_capital(worse, n, allowed) >= -math.log(1 - confidence)).all()


def test_ties_that_make_drops_fractional_keep_the_error_rate() -> None:
    generator = np.random.default_rng(3)
    drops = generator.choice([1.0, 0.5, 1 / 3, 0.0, -0.5, -1.0], p=[0.02, 0.03, 0.01, 0.9, 0.02, 0.02], size=600)
    orders = generator.permuted(np.tile(drops, (2000, 1)), axis=1)
    assert (log_capital(orders, 600, float(drops.sum())) >= math.log(20)).mean() <= 0.05


def test_the_gambler_gains_nothing_on_average_from_a_true_hypothesis() -> None:
    n, allowed = 60, 3
    drops = np.concatenate([np.ones(6), -np.ones(3), np.zeros(n - 9)])
    orders = np.random.default_rng(4).permuted(np.tile(drops, (20_000, 1)), axis=1)
    # Ville's inequality at several levels, after 30 images and at the end
    for seen in (30, 60):
        evidence = log_capital(orders[:, :seen], n, allowed)
        for level in (2, 5, 20):
            assert (evidence >= math.log(level)).mean() <= 1 / level + 0.005


def test_certificates_at_a_true_drop_of_exactly_the_tolerance_are_wrong_at_most_as_often_as_allowed() -> None:
    """Race on the selection images and certify the winner on held-out images, 1,000 times."""
    generator = np.random.default_rng(6)
    selection, certification, candidates, discordant, accuracy = 400, 1000, 4, 0.06, 0.5685
    drop = 0.01 * accuracy
    lost, gained = (discordant + drop) / 2 / accuracy, (discordant - drop) / 2 / (1 - accuracy)
    kept_back, chosen_by = [], []
    for _ in range(1000):
        baseline = (generator.random(selection + certification) < accuracy).astype(float)
        flipped = generator.random((candidates, len(baseline))) < np.where(baseline == 1, lost, gained)
        answers = np.where(flipped, 1 - baseline, baseline)
        floor = 0.99 * baseline[:selection].mean()
        passing = [answer for answer in answers if _race(baseline[:selection], answer[:selection], floor)[0] == "pass"]
        if not passing:
            continue
        best = max(passing, key=lambda answer: float(answer[:selection].sum()))
        kept_back.append(_counts(baseline[selection:], best[selection:]))
        chosen_by.append(_counts(baseline[:selection], best[:selection]))
    assert len(chosen_by) > 500
    assert _certified(kept_back, certification) / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)
    # the same certificate from the images that chose the winner would be wrong far more often
    assert _certified(chosen_by, selection) / 1000 > 0.08


def _counts(baseline: Answers, candidate: Answers) -> tuple[int, int, int]:
    """Return the images that both get right, that are lost and that are gained."""
    return (
        int((baseline * candidate).sum()),
        int((baseline * (1 - candidate)).sum()),
        int(((1 - baseline) * candidate).sum()),
    )


def _certified(counts: list[tuple[int, int, int]], n: int) -> int:
    """Return how many are certified to lose less than 1 %, at 95 % one-sided."""
    both, lost, gained = np.array(counts).T
    low, _ = ratio_bounds(both, lost, gained, n, float(stats.norm.isf(0.05)))
    return int((low > 0.99).sum())


def test_the_order_is_a_permutation_that_its_seed_decides() -> None:
    assert sorted(race_order(500, 3)) == list(range(500))
    np.testing.assert_array_equal(race_order(500, 3), race_order(500, 3))
    assert (race_order(500, 3) != race_order(500, 4)).any()


@_unhurried
@given(st.integers(1, 5000), st.integers(1, 300), st.floats(1.1, 4))
def test_blocks_cover_every_image_once(n: int, first: int, growth: float) -> None:
    blocks = race_blocks(n, first=first, growth=growth)
    assert blocks[0].start == 0
    assert blocks[-1].stop == n
    assert all(block.stop == following.start for block, following in pairwise(blocks))
    assert all(block.stop > block.start for block in blocks)


def test_more_images_seen_than_there_are_is_a_bug() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        decide(np.ones(2), np.ones(3), 0.5)


@pytest.mark.parametrize("discordant", [0.02, 0.06])
def test_a_candidate_just_not_good_enough_is_passed_at_most_as_often_as_the_confidence_allows(
    discordant: float,
) -> None:
    n = 1000
    lost = round((discordant * n + 0.01 * _ACCURACY * n) / 2) + 1
    baseline, candidate = _images(n, lost, round(discordant * n) - lost, seed=0)
    floor = float(candidate.mean()) + 1e-6  # it misses by less than an image
    passed, order = 0, np.random.default_rng(7)
    for _ in range(400):
        images = order.permutation(n)
        before, after = baseline[images], candidate[images]
        ends = (decide(before, after[: block.stop], floor, may_pass=True) for block in race_blocks(n, growth=1.5))
        passed += next(state.outcome == "pass" for state in ends if state.outcome != "continue")
    assert passed / 400 <= 0.05


def test_a_candidate_that_loses_nothing_passes_with_confidence_on_a_share_of_many_images() -> None:
    baseline, candidate = _images(35_000, 350, 350, seed=1)
    for block in race_blocks(35_000, growth=1.5):
        state = decide(baseline, candidate[: block.stop], 0.99 * _ACCURACY, may_pass=True)
        if state.outcome != "continue":
            break
    assert (state.outcome, state.certain) == ("pass", False)
    assert state.seen < 35_000 / 3


def test_nobody_is_passed_with_confidence_unless_that_is_asked_for() -> None:
    baseline, candidate = _images(35_000, 350, 350, seed=1)
    assert decide(baseline, candidate[:15_000], 0.99 * _ACCURACY).outcome == "continue"
    assert decide(baseline, candidate[:15_000], 0.99 * _ACCURACY, may_pass=True).outcome == "pass"
