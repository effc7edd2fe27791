from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from quantize.errors import DataError
from quantize.evaluation.evaluation import Evaluation, near_chance
from quantize.evaluation.outcomes import outcomes_of

Made = Callable[..., Evaluation]


def _right(made: Made, right: int, n: int, classes: int = 1000) -> Evaluation:
    return made([0] * right + [7] * (n - right), classes=classes)


@pytest.mark.parametrize("n", [400, 500, 1000, 5000, 50_000])
@pytest.mark.parametrize("accuracy", [0.0, 0.001, 0.002, 0.011, 0.02])
def test_what_wrong_preprocessing_leaves_is_near_chance_however_many_images_there_are(
    made: Made, n: int, accuracy: float
) -> None:
    assert near_chance(_right(made, round(accuracy * n), n))


@pytest.mark.parametrize("n", [400, 500, 50_000])
@pytest.mark.parametrize("accuracy", [0.1, 0.427, 0.5685, 0.672])
def test_a_working_model_is_not(made: Made, n: int, accuracy: float) -> None:
    assert not near_chance(_right(made, round(accuracy * n), n))


@pytest.mark.parametrize(("right", "broken"), [(0, True), (1, True), (3, True), (4, False), (10, False)])
def test_twenty_photographs_are_enough_to_believe_four_right_answers(made: Made, right: int, broken: bool) -> None:
    assert near_chance(_right(made, right, 20)) == broken


def test_half_right_of_two_classes_is_guessing_and_of_a_hundred_is_not(made: Made) -> None:
    assert near_chance(_right(made, 250, 500, classes=2))
    assert not near_chance(_right(made, 400, 500, classes=2))
    assert not near_chance(_right(made, 250, 500, classes=100))


def test_the_number_of_classes_can_be_given(made: Made) -> None:
    assert near_chance(_right(made, 250, 500), classes=2)


def test_a_model_that_scores_all_classes_alike_is_near_chance() -> None:
    labels = np.arange(400) % 10
    outcomes = outcomes_of([str(i) for i in range(400)], np.ones((400, 10), np.float32), labels)
    assert near_chance(Evaluation("f", 10, outcomes, (), None, constant_output=True))


def test_without_labels_nothing_is_known() -> None:
    outcomes = outcomes_of(["a"], np.ones((1, 10), np.float32), None)
    with pytest.raises(DataError, match="labels"):
        near_chance(Evaluation("f", 10, outcomes, (), None, constant_output=False))
