from __future__ import annotations

import pytest

from quantize.config.tuning import CriterionBlock
from quantize.engines.protocols import Goal
from quantize.evaluation.verdict import Tolerance
from quantize.run.accuracy import tolerance_of
from quantize.run.goal import goal_for
from tests.run.conftest import Evaluated


def test_with_labels_the_drop_of_expected_top1_decides(evaluated: Evaluated) -> None:
    goal = goal_for(CriterionBlock.model_validate({}), evaluated([True] * 3 + [False]), asked=True)
    assert goal == Goal("top1", baseline=0.75, relative=0.01)
    assert goal.floor() == pytest.approx(0.75 * 0.99)
    assert tolerance_of(goal) == Tolerance(measure="relative", value=0.01)


def test_an_absolute_drop_is_in_fractions_of_the_images(evaluated: Evaluated) -> None:
    criterion = CriterionBlock.model_validate({"absolute": 0.02})
    goal = goal_for(criterion, evaluated([True] * 3 + [False]), asked=True)
    assert goal.floor() == pytest.approx(0.73)
    assert tolerance_of(goal) == Tolerance(measure="points", value=0.02)


def test_without_labels_agreement_decides_whatever_drop_was_asked(evaluated: Evaluated) -> None:
    criterion = CriterionBlock.model_validate({"relative": 0.5, "agreement": 0.9})
    goal = goal_for(criterion, evaluated([True] * 4, labelled=False), asked=True)
    assert goal == Goal("agreement", minimum=0.9)
    assert tolerance_of(goal) == Tolerance(measure="agreement", value=0.9)


@pytest.mark.parametrize("labelled", [True, False])
def test_without_a_criterion_nothing_is_measured(evaluated: Evaluated, labelled: bool) -> None:
    goal = goal_for(CriterionBlock.model_validate({}), evaluated([False] * 4, labelled=labelled), asked=False)
    assert goal == Goal("none")
    assert goal.floor() is None
    assert tolerance_of(goal) is None
