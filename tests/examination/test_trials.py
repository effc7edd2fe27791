from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from quantize.data.preprocessing import PRESETS
from quantize.examination.labels import examine_labels, label_orders
from quantize.examination.preprocessing import examine_preprocessing
from quantize.examination.published import examine_published
from quantize.examination.trials import AS_GIVEN, Comparison, Labels, Predictions, Variant
from quantize.models.catalog.catalog import load_catalog

CLASSES, IMAGES = 10, 200
ASKED = PRESETS["caffe"].for_input_size(224, 224)
OTHER = PRESETS["imagenet"].for_input_size(224, 224)
Compare = Callable[..., Comparison]


def predictions(top1: Labels, confidence: float = 0.9) -> Predictions:
    """Return predictions that give each class in ``top1`` this probability and share the rest among the others."""
    logs = np.full((len(top1), CLASSES), np.log((1 - confidence) / (CLASSES - 1)))
    logs[np.arange(len(top1)), top1] = np.log(confidence)
    return Predictions(logs, top1)


@pytest.fixture
def truth() -> Labels:
    return np.random.default_rng(1).integers(0, CLASSES, IMAGES)


@pytest.fixture
def compare(truth: Labels) -> Compare:
    """Return a maker of comparisons: what the model names under the settings' preprocessing and under another."""

    def make(base: Labels, other: Labels | None = None, *, labels: Labels | None = None) -> Comparison:
        given = truth if labels is None else labels
        return Comparison(
            asked=ASKED,
            base=predictions(base),
            variants=[] if other is None else [(Variant(OTHER, "preset imagenet"), predictions(other))],
            orders={order.name: order.read(given) for order in label_orders(CLASSES)},
            entry=load_catalog().named("squeezenet1.0-12"),
        )

    return make


def _mostly(truth: Labels, share: float) -> Labels:
    """Return predictions of which this share is right."""
    wrong = np.arange(len(truth)) >= share * len(truth)
    return np.where(wrong, (truth + 1) % CLASSES, truth)


def test_labels_out_of_range_are_wrong_and_the_least_likely() -> None:
    said = predictions(np.array([0, 1]))
    assert said.right(np.array([0, 77])).tolist() == [True, False]
    assert said.likelihoods(np.array([0, 77])).tolist() == [said.logs[0, 0], said.logs[1].min()]
    assert said.confidence == pytest.approx(0.9)


def test_labels_that_fit_are_taken_as_they_are(compare: Compare, truth: Labels) -> None:
    comparison = compare(_mostly(truth, 0.8))
    assert comparison.best_order()[0] == AS_GIVEN
    assert not comparison.at_chance
    assert "top-1 80.0 %" in examine_labels(comparison).check.text


def test_labels_counted_from_one_are_recognized_with_what_to_do(compare: Compare, truth: Labels) -> None:
    examination = examine_labels(compare(_mostly(truth, 0.8), labels=truth + 1))
    (finding,) = examination.findings
    assert examination.check.text == "one too large (counted from 1)"
    assert finding.advice == "Subtract 1 from every label."
    assert "top-1 80.0 % on 200 images when read so" in finding.evidence


def test_an_order_that_is_better_by_chance_alone_is_not_taken(compare: Compare, truth: Labels) -> None:
    comparison = compare(_mostly(truth, 0.5))  # as the wrong ones are one too large, half of the images fit either way
    assert comparison.best_order()[0] == AS_GIVEN


def test_labels_of_other_images_fit_no_order_and_no_preprocessing(compare: Compare, truth: Labels) -> None:
    other = np.random.default_rng(2).integers(0, CLASSES, IMAGES)
    comparison = compare(other)
    assert comparison.at_chance
    (finding,) = examine_labels(comparison).findings
    assert finding.sure == "very likely"
    assert "the model is sure of its answers" in finding.evidence
    assert examine_preprocessing(comparison).check.outcome == "not checked"


def test_a_preprocessing_that_fits_better_is_named_with_its_flag(compare: Compare, truth: Labels) -> None:
    comparison = compare(_mostly(truth, 0.5), _mostly(truth, 0.9))
    (finding,) = examine_preprocessing(comparison).findings
    assert "preset imagenet fits better" in finding.what
    assert finding.command == "--preset imagenet"
    assert finding.evidence == "top-1 90.0 % with it, 50.0 % as asked, on the same 200 images"


def test_a_preprocessing_that_is_hardly_better_is_not_named(compare: Compare, truth: Labels) -> None:
    comparison = compare(_mostly(truth, 0.80), _mostly(truth, 0.815))
    assert examine_preprocessing(comparison).check.outcome == "right"


def test_the_published_accuracy_is_compared_within_what_so_few_images_can_tell(compare: Compare, truth: Labels) -> None:
    assert examine_published(compare(_mostly(truth, 0.5))).check.outcome == "right"  # 56.85 % are published
    (finding,) = examine_published(compare(_mostly(truth, 0.4))).findings
    assert "published 56.85 %" in finding.evidence
