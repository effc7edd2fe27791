from __future__ import annotations

import pytest

from quantize.report.search import CandidateSection


def section(predicted_ns: float | None, measured_ns: float | None) -> CandidateSection:
    return CandidateSection(
        trial=0,
        recipe_id="r",
        step="ladder",
        predicted_ns=predicted_ns,
        measured_ns=measured_ns,
        speedup=None,
        images=10,
        met=True,
        pareto=False,
    )


def test_the_error_of_a_prediction_is_relative_to_the_measured_time() -> None:
    assert section(110.0, 100.0).prediction_error == pytest.approx(0.1)
    assert section(110.0, None).prediction_error is None
    assert section(None, 100.0).prediction_error is None
