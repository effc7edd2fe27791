"""The one rule that search, verdict and check hold a speed-up against."""

from __future__ import annotations

import pytest

from quantize.measurement.speed_criterion import SpeedCriterion


@pytest.mark.parametrize(
    ("ratio", "low", "high", "floor", "outcome"),
    [
        (1.2, 1.1, 1.3, 0.01, "met"),
        (0.98, 0.95, 1.01, 0.01, "met"),  # may be as fast
        (0.98, 0.97, 0.992, 0.01, "met"),  # below by no more than the noise floor
        (0.97, 0.96, 0.98, 0.01, "not met"),
        (0.97, 0.96, 0.98, None, "not met"),
        (0.99, None, None, 0.02, "met"),  # too few rounds for an interval: the ratio decides
        (0.9, None, None, 0.02, "not met"),
        (0.45, 0.4, 0.49, 1.0, "not met"),  # fp32 seems twice as fast as itself: less than half is still slower
        (0.55, 0.5, 0.6, 1.0, "met"),
    ],
)
def test_a_model_is_too_slow_only_where_that_is_shown(ratio, low, high, floor, outcome):
    assert SpeedCriterion(min_speedup=1.0).outcome(ratio, low, high, floor) == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(1.0, 1.2, "met"), (0.99, 1.2, "inconclusive"), (0.8, 0.9, "not met"), (None, None, "inconclusive")],
)
def test_with_a_certainty_the_lower_end_has_to_reach_it(low, high, outcome):
    criterion = SpeedCriterion(min_speedup=1.0, confidence=0.95)
    assert criterion.outcome(1.0 if low is None else (low + high) / 2, low, high, 0.01) == outcome
