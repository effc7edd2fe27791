"""How long a pair of models is timed where a rewrite has to show that it pays."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from quantize.rewrites import RatioInterval
from quantize.run import rewriting

SEEN, GAIN, NOTHING, LOSS = (
    RatioInterval(*three) for three in ((0.97, 1.07, 1.17), (1.03, 1.07, 1.11), (0.97, 1.0, 1.03), (0.9, 0.95, 0.99))
)


def _decided(
    monkeypatch: pytest.MonkeyPatch, *given: RatioInterval, shown: bool, most: float = 1e9
) -> tuple[RatioInterval, list[float]]:
    """Return what is decided from what would be measured one after the other, and the seconds of each measurement."""
    waiting, seconds = list(given), list[float]()

    def measured(context: Any, models: Any, allowed: float) -> RatioInterval:
        seconds.append(allowed)
        return waiting.pop(0)

    def of(before: Any, after: Any, measure: Callable[[], RatioInterval]) -> RatioInterval:
        return measure()

    monkeypatch.setattr(rewriting, "_measured", measured)
    context: Any = SimpleNamespace(ratios=SimpleNamespace(of=of), pair_seconds=lambda wanted: min(wanted, most))
    model: Any = None
    return rewriting.rewrite_ratio(context, model, model, shown=shown), seconds


def test_a_gain_that_is_seen_but_not_shown_is_measured_again_for_longer_and_that_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decided, seconds = _decided(monkeypatch, SEEN, GAIN, shown=True)
    assert decided == GAIN
    assert seconds[1] == 4 * seconds[0]


@pytest.mark.parametrize("first", [GAIN, NOTHING, LOSS])
def test_what_is_shown_or_looks_like_no_gain_is_measured_once(
    monkeypatch: pytest.MonkeyPatch, first: RatioInterval
) -> None:
    decided, seconds = _decided(monkeypatch, first, shown=True)
    assert decided == first
    assert len(seconds) == 1


def test_where_a_gain_need_not_be_shown_or_there_is_no_more_time_the_first_measurement_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _decided(monkeypatch, SEEN, shown=False)[0] == SEEN
    assert _decided(monkeypatch, SEEN, shown=True, most=0.4) == (SEEN, [0.4])
