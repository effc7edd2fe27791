"""The criterion, as the report shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantize.criterion import Criterion, SpeedCriterion
from quantize.report.criterion import CriterionSection


@pytest.mark.parametrize(
    ("criterion", "floor"),
    [
        (Criterion("top1", baseline=0.5, relative=0.02), 0.49),
        (Criterion("top1", baseline=0.5, absolute=0.02), 0.48),
        (Criterion("agreement", minimum=0.9), 0.9),
        (Criterion("none"), None),
    ],
)
def test_the_criterion_is_reported_with_the_lowest_value_that_passes(criterion: Criterion, floor: float | None) -> None:
    section = CriterionSection.of(replace(criterion, confidence=0.9), SpeedCriterion(min_speedup=1.5))
    assert section.min_speedup == 1.5
    assert (section.metric, section.relative, section.absolute) == (
        criterion.metric,
        criterion.relative,
        criterion.absolute,
    )
    assert (section.minimum, section.confidence) == (criterion.minimum, 0.9)
    assert section.floor == (pytest.approx(floor) if floor is not None else None)
