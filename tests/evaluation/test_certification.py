from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from quantize.errors import DataError
from quantize.evaluation.certification import Certification, certify
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.verdict import Tolerance

Made = Callable[..., Evaluation]

_TOLERANCES = [Tolerance(measure="relative", value=0.01)]


def test_both_figures_are_kept_and_the_images_kept_back_decide(made: Made) -> None:
    baseline = made([0] * 100)
    candidate = made([0] * 70 + [1] * 6 + [0] * 24)  # all losses among the last thirty
    found = certify(baseline, candidate, _TOLERANCES, kept_back=baseline.ids[70:], candidates_tried=5)
    assert found.certification is not None
    assert (found.selection.top1.n, found.certification.top1.n) == (70, 30)
    assert (found.selection.top1.lost, found.certification.top1.lost) == (0, 6)
    assert found.deciding is found.certification
    assert found.deciding.judgements[0].deciding.outcome == "not met"
    assert found.selection.judgements[0].deciding.outcome == "met"
    assert not found.selection_bias


def test_the_best_of_many_looks_better_on_the_images_that_chose_it(made: Made) -> None:
    generator = np.random.default_rng(0)
    baseline = made([0] * 600)
    kept_back = baseline.ids[400:]
    gaps = []
    for _ in range(40):  # forty searches among twenty equally good candidates
        candidates = [made((generator.random(600) < 0.05).astype(int)) for _ in range(20)]
        best = max(candidates, key=lambda one: one.take(range(400)).top_k(1).expected)
        found = certify(baseline, best, [], kept_back=kept_back, candidates_tried=20)
        assert found.certification is not None
        gaps.append(found.certification.top1.drop - found.selection.top1.drop)
        assert found.certification.top1.drop == pytest.approx(0.05, abs=0.06)
    assert np.mean(gaps) > 0.01


def test_without_images_kept_back_the_bias_is_said(made: Made) -> None:
    one = made([0] * 20)
    assert certify(one, one, _TOLERANCES, kept_back=[], candidates_tried=3).selection_bias
    alone = certify(one, one, _TOLERANCES, kept_back=[], candidates_tried=1)
    assert not alone.selection_bias
    assert alone.deciding is alone.selection


def test_an_unknown_image_kept_back_is_named(made: Made) -> None:
    one = made([0] * 20)
    with pytest.raises(DataError, match=r"missing\.jpg"):
        certify(one, one, _TOLERANCES, kept_back=["missing.jpg"], candidates_tried=1)


def test_keeping_all_images_back_leaves_none_to_choose_by(made: Made) -> None:
    one = made([0] * 20)
    with pytest.raises(DataError, match="all 20"):
        certify(one, one, _TOLERANCES, kept_back=one.ids, candidates_tried=1)


def test_a_certification_survives_json(made: Made) -> None:
    one = made([0] * 20)
    found = certify(one, one, _TOLERANCES, kept_back=one.ids[:5], candidates_tried=2, confidence=0.9)
    assert Certification.model_validate_json(found.model_dump_json()) == found
