from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.per_class import class_drops, significant_drops

Made = Callable[..., Evaluation]


def test_a_class_that_quantization_broke_stands_out_of_a_thousand(made: Made) -> None:
    labels = np.repeat(np.arange(1000), 50)
    generator = np.random.default_rng(0)
    before = (generator.random(50_000) > 0.7).astype(int)
    after = np.where(generator.random(50_000) < 0.05, 1 - before, before)
    after[labels == 417] = 1  # never right again
    found = class_drops(made(before, labels=labels), made(after, labels=labels))
    assert len(found) == 1000
    assert [drop.label for drop in significant_drops(found)] == [417]
    broken = found[0]
    assert (broken.n, broken.candidate_right, broken.gained) == (50, 0, 0)
    assert broken.drop == broken.baseline_right / 50


def test_without_a_true_drop_no_class_is_listed_in_19_of_20_runs(made: Made) -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat(np.arange(100), 20)
    runs_with_a_false_alarm = 0
    for _ in range(100):
        before = generator.integers(0, 2, 2000)
        after = np.where(generator.random(2000) < 0.3, 1 - before, before)
        found = class_drops(made(before, labels=labels), made(after, labels=labels))
        runs_with_a_false_alarm += bool(significant_drops(found))
    assert runs_with_a_false_alarm <= 5 + 3 * np.sqrt(5)


def test_one_image_a_class_never_proves_a_class_drop(made: Made) -> None:
    labels = list(range(500))
    found = class_drops(made([0] * 500, labels=labels), made([1] * 500, labels=labels))
    assert significant_drops(found) == ()


def test_an_improvement_is_no_drop(made: Made) -> None:
    (found,) = class_drops(made([1] * 60), made([0] * 60))
    assert found.p_value == 1.0
    assert found.drop == -1.0


def test_the_classes_that_have_no_image_do_not_count(made: Made) -> None:
    found = class_drops(made([0, 0], labels=[3, 900]), made([0, 1], labels=[3, 900]))
    assert {drop.label for drop in found} == {3, 900}
    assert found[0].label == 900
    assert found[0].adjusted_p_value == pytest.approx(1.0)
