"""Models that compute nothing on integers say why, in the report, on stderr and in the files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from quantize.report.search import CandidateSection, SearchSection
from quantize.run.no_integers import _of_search
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.conftest import Configured

_FLOAT = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}


@pytest.mark.usefixtures("brief", "fast_integers")
def test_layers_that_the_settings_keep_in_float_are_named_in_report_log_and_files(
    colour_model: Path, configured: Configured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {
        "quantization.optype_wise": dict.fromkeys(("Conv", "Gemm", "MatMul"), _FLOAT),
        "tuning.engine": "native",
    }
    request = TuneRequest(configured(settings), input_model=colour_model, output_model=tmp_path / "run", workers=1)
    with caplog.at_level(logging.WARNING, "quantize"):
        report = tune(request).report
    (sentence,) = report.no_integers
    assert sentence.startswith("No layer computes on integers: ")
    assert "the settings keep it there" in sentence
    assert sentence in report.verdict.reasons
    assert sentence in caplog.messages
    assert sentence in (tmp_path / "run" / "report.md").read_text("utf-8")
    for path in (tmp_path / "run").glob("*.onnx"):
        facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        assert facts["quantize.no_integers"] == sentence


def test_a_model_that_computes_on_integers_has_no_such_reason(colour_run: TuneResult) -> None:
    assert colour_run.report.no_integers == ()


def _candidate(**found: object) -> CandidateSection:
    known = {"recipe_id": "r", "predicted_ns": None, "measured_ns": None, "trial": 0, "images": 4, "pareto": False}
    return CandidateSection.model_validate({"step": "ladder", "met": None, "speedup": None, **known, **found})


@pytest.fixture
def search() -> Callable[..., SearchSection]:
    def make(*candidates: CandidateSection) -> SearchSection:
        return SearchSection(stopped_because="search finished", images=4, candidates=candidates, compared=(), stages=())

    return make


def test_what_became_of_candidates_on_integers_is_counted(search: Callable[..., SearchSection]) -> None:
    words = _of_search(
        search(
            _candidate(met=False),
            _candidate(),
            _candidate(met=True, speedup=0.8),
            _candidate(met=True, speedup=0.9),
            _candidate(met=True, speedup=1.0, step="stored"),
        )
    )
    assert words.startswith("of 4 candidates that do, 1 could not be built or run, 1 missed the accuracy criterion, ")
    assert words.endswith("2 measured at most 0.90x as fast as fp32")


def test_a_single_candidate_is_told_as_one(search: Callable[..., SearchSection]) -> None:
    words = _of_search(search(_candidate(met=True, speedup=0.9), _candidate(step="stored")))
    assert words == "the one candidate that does measured at most 0.90x as fast as fp32"


def test_a_search_that_tried_none_says_so(search: Callable[..., SearchSection]) -> None:
    assert _of_search(search(_candidate(step="stored"))).startswith("the search tried none")
