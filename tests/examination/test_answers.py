from __future__ import annotations

import numpy as np

from quantize.examination.answers import examine_answers
from quantize.examination.trials import Predictions


def _predictions(logs: list[list[float]]) -> Predictions:
    return Predictions(np.array(logs), np.zeros(len(logs), np.int64))


def test_answers_that_are_no_numbers_are_counted() -> None:
    examination = examine_answers(_predictions([[0.0, np.nan], [np.nan, np.nan], [-1.0, -0.5]]))
    (finding,) = examination.findings
    assert examination.check.outcome == "wrong"
    assert finding.evidence.startswith("on 2 of 3 images")
    assert "preprocessing" not in finding.what + finding.advice


def test_a_probability_of_nothing_is_a_number() -> None:
    assert examine_answers(_predictions([[0.0, -np.inf]])).findings == ()
