from __future__ import annotations

from pathlib import Path

import numpy as np

from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import PRESETS
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.outcomes import outcomes_of
from quantize.report.flipped_images import flips_section, without_pictures
from quantize.report.html import html
from quantize.report.schema import RunReport

PER_CLASS = 20


def evaluation(wrong_class: int | None) -> Evaluation:
    """Return a model that is right on 20 images of each of 6 classes except one class."""
    labels = np.repeat(np.arange(6), PER_CLASS)
    scores = np.full((len(labels), 6), 0.1, np.float32)
    scores[np.arange(len(labels)), labels] = 0.5
    if wrong_class is not None:
        scores[labels == wrong_class, (wrong_class + 1) % 6] = 0.9
    ids = [f"image{number}" for number in range(len(labels))]
    return Evaluation("hash", 6, outcomes_of(ids, scores, labels), (), None, False)


def section(wrong_class: int | None, folder: Path, *, pictures: bool = True):
    baseline, candidate = evaluation(None), evaluation(wrong_class)
    crops = Crops.from_array(
        baseline.ids, np.zeros((baseline.n, 8, 8, 3), np.uint8), [0] * baseline.n, PRESETS["caffe"]
    )
    return flips_section(baseline, candidate, role="int8", crops=crops, file=folder / "flips.csv", pictures=pictures)


def test_a_class_that_is_lost_is_named_and_no_other(tmp_path: Path):
    flips = section(3, tmp_path)
    assert flips.tested_classes == 6
    assert [(drop.label, drop.lost, drop.gained, drop.images) for drop in flips.dropped_classes] == [(3, 20, 0, 20)]
    assert flips.dropped_classes[0].adjusted_p_value < 1e-4


def test_no_class_is_named_if_nothing_changed(tmp_path: Path):
    assert section(None, tmp_path).dropped_classes == ()


def test_pictures_can_be_left_out(tmp_path: Path, report: RunReport):
    assert any(flip.thumbnail for flip in section(3, tmp_path).shown)
    assert not any(flip.thumbnail for flip in section(3, tmp_path, pictures=False).shown)
    assert (tmp_path / "flips.csv").is_file()
    assert "data:image/jpeg" in html(report)
    assert "data:image/jpeg" not in html(without_pictures(report))
