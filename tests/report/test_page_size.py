"""The page of a run on as many images as ILSVRC2012 validation has: it stays small enough to be sent around."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import PRESETS
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.outcomes import concatenate, outcomes_of
from quantize.report.data import AnswerSection, FlipsSection, SkippedImage
from quantize.report.flipped_images import flips_section
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport

IMAGES, CLASSES, PART = 50_000, 1_000, 5_000
LARGEST = 2_000_000
NOISE = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)


def evaluation(seed: int) -> Evaluation:
    """Return a model that answers 50,000 images at random among its 1,000 classes."""
    random, parts = np.random.default_rng(seed), []
    for first in range(0, IMAGES, PART):
        scores = np.full((PART, CLASSES), 0.1, np.float32)
        scores[np.arange(PART), random.integers(0, CLASSES, PART)] = 0.9
        ids = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(first, first + PART)]
        parts.append(outcomes_of(ids, scores, np.arange(first, first + PART) % CLASSES))
    return Evaluation("hash", CLASSES, concatenate(parts), (), None, False)


def flips(folder: Path) -> FlipsSection:
    """Return what the real writer says of two such models, whose crops are noise: no JPEG of a photograph is larger."""
    baseline, candidate = evaluation(1), evaluation(2)
    crops = Crops.from_array(
        baseline.ids, np.broadcast_to(NOISE, (IMAGES, 224, 224, 3)), [0] * IMAGES, PRESETS["caffe"]
    )
    section = flips_section(baseline, candidate, role="int8", crops=crops, file=folder / "flips.csv")
    answers = tuple(AnswerSection(label=label, name="Chesapeake Bay retriever", probability=0.3) for label in range(3))
    shown = tuple(
        flip.model_copy(update={"baseline_top3": answers, "candidate_top3": answers}) for flip in section.shown
    )
    return section.model_copy(update={"shown": shown})


def test_a_page_of_fifty_thousand_images_stays_under_two_megabytes(tmp_path: Path, report: RunReport) -> None:
    changed = flips(tmp_path)
    assert changed.images == IMAGES
    assert changed.count > 0.9 * IMAGES
    unreadable = tuple(
        SkippedImage(id=f"n01440764/image{number}.JPEG", reason="truncated JPEG") for number in range(IMAGES)
    )
    data = report.data.model_copy(update={"evaluation": IMAGES, "skipped": unreadable})
    large = report.model_copy(update={"flips": changed, "data": data})
    page, text = html(large), markdown(large)
    assert "50,000 images could not be read" in page
    assert len(page.encode("utf-8")) < LARGEST
    assert len(text.encode("utf-8")) < 100_000
    with (tmp_path / "flips.csv").open(encoding="utf-8") as stream:
        assert sum(1 for _ in stream) == changed.count + 1
