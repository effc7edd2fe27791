from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantize.errors import DataError
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.flips import Flip, class_drops, flips, significant_drops, write_flips
from quantize.evaluation.outcomes import Scores, outcomes_of

_IDS = ["a.jpg", "b, or not b.jpg", "c.jpg", "d.jpg", "é.jpg"]


def _evaluation(scores: Scores, labels: list[int] | None) -> Evaluation:
    true = None if labels is None else np.array(labels)
    outcomes = outcomes_of(_IDS, scores, true)
    return Evaluation("f" * 64, scores.shape[1], outcomes, (), None, constant_output=False)


_BASELINE = np.array([[9, 1, 0], [5, 4, 0], [0, 2, 1], [7, 0, 0], [3, 2, 0]], np.float32)
_CANDIDATE = np.array([[9, 1, 0], [4, 5, 0], [0, 1, 2], [0, 0, 8], [3, 3, 0]], np.float32)
_LABELS = [0, 0, 2, 1, 0]


def test_flips_are_listed_with_both_predictions_and_margins_surest_first() -> None:
    flipped = flips(_evaluation(_BASELINE, _LABELS), _evaluation(_CANDIDATE, _LABELS))
    assert [(flip.id, flip.baseline_prediction, flip.candidate_prediction, flip.effect) for flip in flipped] == [
        ("d.jpg", 0, 2, "still wrong"),
        ("b, or not b.jpg", 0, 1, "lost"),
        ("c.jpg", 1, 2, "gained"),
        ("é.jpg", 0, 0, "lost"),  # a new tie, which counts as wrong
    ]
    assert [(flip.baseline_margin, flip.candidate_margin) for flip in flipped] == [(7, 8), (1, 1), (1, 1), (1, 0)]
    assert flipped[3].candidate_tied == 2


def test_without_labels_flips_are_listed_all_the_same() -> None:
    flipped = flips(_evaluation(_BASELINE, None), _evaluation(_CANDIDATE, None))
    assert len(flipped) == 4
    assert {flip.effect for flip in flipped} == {"unknown"}
    assert {flip.label for flip in flipped} == {None}


def test_a_model_compared_with_itself_flips_nothing() -> None:
    evaluation = _evaluation(_CANDIDATE, _LABELS)
    assert flips(evaluation, evaluation) == ()


def test_the_csv_holds_a_line_an_image_and_class_names(tmp_path: Path) -> None:
    flipped = flips(_evaluation(_BASELINE, _LABELS), _evaluation(_CANDIDATE, _LABELS))
    write_flips(tmp_path / "flips.csv", flipped, names=["tench", "goldfish", "shark"])
    with (tmp_path / "flips.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == ["d.jpg", "b, or not b.jpg", "c.jpg", "é.jpg"]
    assert rows[1] == {
        "image": "b, or not b.jpg",
        "label": "0 tench",
        "baseline": "0 tench",
        "candidate": "1 goldfish",
        "baseline_margin": "1",
        "candidate_margin": "1",
        "baseline_tied": "1",
        "candidate_tied": "1",
        "effect": "lost",
    }


def test_a_csv_without_labels_leaves_the_label_empty(tmp_path: Path) -> None:
    write_flips(tmp_path / "flips.csv", flips(_evaluation(_BASELINE, None), _evaluation(_CANDIDATE, None)))
    with (tmp_path / "flips.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["label"] for row in rows} == {""}
    assert rows[0]["candidate"] == "2"


def test_no_cell_of_the_csv_is_a_formula_or_a_second_line(tmp_path: Path) -> None:
    names = ['=HYPERLINK("http://x")', "+1", "-1", "@x", "\t=1", "a\n::error::b\r\x1b[2J"]
    flipped = [Flip(name, 0, 0, 1, 1.0, 1.0, 1, 1, "lost") for name in names]
    write_flips(tmp_path / "flips.csv", flipped, ["=class 0", "class 1"])
    text = (tmp_path / "flips.csv").read_text("utf-8")
    assert len(text.splitlines()) == 1 + len(names)
    rows = list(csv.reader(text.splitlines()[1:]))
    assert all(not cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row)
    assert rows[-1][:2] == ["a\\n::error::b\\r\\x1b[2J", "0 =class 0"]


def test_flips_between_different_images_are_refused() -> None:
    evaluation = _evaluation(_BASELINE, _LABELS)
    with pytest.raises(DataError, match="different images"):
        flips(evaluation, evaluation.take([0, 1]))


Made = Callable[..., Evaluation]


def test_a_class_that_quantization_broke_stands_out_of_a_thousand(made: Made) -> None:
    labels = np.repeat(np.arange(1000), 50)
    generator = np.random.default_rng(0)
    before = (generator.random(50_000) > 0.7).astype(int)
    after = np.where(generator.random(50_000) < 0.05, 1 - before, before)
    after[labels == 417] = 1  # never right again
    drops = class_drops(made(before, labels=labels), made(after, labels=labels))
    assert len(drops) == 1000
    assert [drop.label for drop in significant_drops(drops)] == [417]
    broken = drops[0]
    right = int((before[labels == 417] == 0).sum())
    assert (broken.n, broken.lost, broken.gained) == (50, right, 0)
    assert broken.drop == right / 50


def test_without_a_true_drop_no_class_is_listed_in_19_of_20_runs(made: Made) -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat(np.arange(100), 20)
    runs_with_a_false_alarm = 0
    for _ in range(100):
        before = generator.integers(0, 2, 2000)
        after = np.where(generator.random(2000) < 0.3, 1 - before, before)
        drops = class_drops(made(before, labels=labels), made(after, labels=labels))
        runs_with_a_false_alarm += bool(significant_drops(drops))
    assert runs_with_a_false_alarm <= 5 + 3 * np.sqrt(5)


def test_one_image_a_class_never_proves_a_class_drop(made: Made) -> None:
    labels = list(range(500))
    drops = class_drops(made([0] * 500, labels=labels), made([1] * 500, labels=labels))
    assert significant_drops(drops) == ()


def test_an_improvement_is_no_drop(made: Made) -> None:
    (drop,) = class_drops(made([1] * 60), made([0] * 60))
    assert drop.p_value == 1.0
    assert drop.drop == -1.0


def test_the_classes_that_have_no_image_do_not_count(made: Made) -> None:
    drops = class_drops(made([0, 0], labels=[3, 900]), made([0, 1], labels=[3, 900]))
    assert {drop.label for drop in drops} == {3, 900}
    assert drops[0].label == 900
    assert drops[0].adjusted_p_value == pytest.approx(1.0)
