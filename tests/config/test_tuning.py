"""The criteria of the settings, as search, verdict and check apply them."""

from __future__ import annotations

import pytest

from quantize.config import load_config
from quantize.config.tuning import CriterionBlock
from quantize.criterion import Criterion, SpeedCriterion


def test_with_labels_the_drop_of_expected_top1_decides() -> None:
    criterion = CriterionBlock.model_validate({}).criterion(0.75)
    assert criterion == Criterion("top1", baseline=0.75, relative=0.01)
    assert criterion.floor() == pytest.approx(0.75 * 0.99)
    assert (criterion.measure, criterion.bound) == ("relative", 0.01)


def test_an_absolute_drop_is_in_fractions_of_the_images() -> None:
    criterion = CriterionBlock.model_validate({"absolute": 0.02}).criterion(0.75)
    assert criterion.floor() == pytest.approx(0.73)
    assert (criterion.measure, criterion.bound) == ("points", 0.02)


def test_without_labels_agreement_decides_whatever_drop_was_requested() -> None:
    criterion = CriterionBlock.model_validate({"relative": 0.5, "agreement": 0.9, "confidence": 0.8}).criterion(None)
    assert criterion == Criterion("agreement", minimum=0.9, confidence=0.8)
    assert (criterion.measure, criterion.bound) == ("agreement", 0.9)


@pytest.mark.parametrize("baseline", [0.8, None])
def test_without_a_criterion_nothing_is_measured(baseline: float | None) -> None:
    criterion = CriterionBlock.model_validate({}).criterion(baseline, asked=False)
    assert criterion == Criterion("none")
    assert criterion.floor() is None


def test_a_speed_is_asked_for_with_the_certainty_of_the_criterion_on_accuracy() -> None:
    config = load_config(
        None, {"tuning.speed_criterion.min_speedup": "1.5", "tuning.accuracy_criterion.confidence": 0.9}
    )
    assert config.tuning.speed == SpeedCriterion(min_speedup=1.5, confidence=0.9)
    assert load_config(None, {}).tuning.speed == SpeedCriterion(min_speedup=1.0)
