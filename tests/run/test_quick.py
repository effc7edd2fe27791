"""A quick run: bounded, on a sample, and said to be rough wherever it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quantize.config import RunConfig, load_config
from quantize.data.image_set import ImageRecord, ImageSet
from quantize.errors import RunError
from quantize.gate.baseline import accepted
from quantize.gate.document import read_document
from quantize.report.reproduce import run_command
from quantize.report.storage import read_report
from quantize.report.text import summary
from quantize.run import quick
from quantize.run.effort import FULL, QUICK, effort_of
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.conftest import Configured, EndedSearch

Listed = Any


def _quick(**changes: object) -> RunConfig:
    return load_config(
        None, {"tuning.quick": "true", **{key.replace("__", "."): value for key, value in changes.items()}}
    )


def _images(count: int) -> ImageSet:
    records = tuple(ImageRecord(f"{number:04}.png", 0, (number,)) for number in range(count))
    return ImageSet("here", records, source=None)  # type: ignore[arg-type]


def _names(images: ImageSet) -> set[str]:
    return {record.id for record in images.records}


def test_a_quick_run_lowers_what_costs_time_and_raises_nothing() -> None:
    bounded = quick.bounded(_quick())
    assert bounded.quantization.calibration.sampling_size == quick.CALIBRATED
    assert bounded.evaluation.performance.iteration == quick.RUNS
    assert bounded.tuning.exit_policy.max_trials == quick.TRIALS
    small = quick.bounded(_quick(evaluation__performance__iteration="20", tuning__time_budget="5"))
    assert small.evaluation.performance.iteration == 20
    assert small.tuning.time_budget == 5


def test_bounding_twice_is_bounding_once_and_another_run_stays_as_it_is() -> None:
    bounded = quick.bounded(_quick())
    assert quick.bounded(bounded) == bounded
    full = load_config(None, {})
    assert quick.bounded(full) == full
    assert (effort_of(full), effort_of(bounded)) == (FULL, QUICK)


def test_the_sample_is_drawn_by_names_and_has_the_calibration_images_of_the_full_run() -> None:
    config, listed = quick.bounded(_quick()), _images(500)
    drawn = quick.sample(listed, config, None)
    assert len(drawn) == quick.CALIBRATED + quick.EVALUATED
    backwards = listed.subset(reversed(range(500)))
    assert _names(quick.sample(backwards, config, None)) == _names(drawn)
    assert _names(quick.sample(_images(100), config, None)) == _names(_images(100))
    assert quick.sample(listed, load_config(None, {}), None) is listed


def test_images_that_a_list_names_are_all_in_the_sample(tmp_path: Path) -> None:
    named = [f"{number:04}.png" for number in range(450, 500)]
    (tmp_path / "list.txt").write_text("\n".join(named))
    drawn = quick.sample(_images(500), quick.bounded(_quick()), tmp_path / "list.txt")
    assert set(named) <= _names(drawn)
    assert len(drawn) == 50 + quick.EVALUATED


def test_a_sample_that_is_evaluated_with_its_calibration_images_is_no_larger() -> None:
    config = quick.bounded(_quick(quantization__calibration__in_evaluation="true"))
    assert len(quick.sample(_images(500), config, None)) == quick.EVALUATED


@pytest.fixture
def rough(
    ended_search: EndedSearch,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TuneResult:
    ended_search()
    monkeypatch.setattr(quick, "EVALUATED", 40)
    request = TuneRequest(
        configured({"tuning.quick": "true"}),
        input_model=colour_model,
        output_model=tmp_path / "out",
        workers=1,
        command=("quantize", "tune", "--quick"),
    )
    return tune(request)


def test_a_quick_run_says_what_is_rough_wherever_it_is_read(rough: TuneResult) -> None:
    report = rough.report
    assert report.rough is not None
    assert report.rough.evaluated == report.data.evaluation == 40
    assert report.rough.drawn < report.rough.images
    assert report.formats is not None
    assert report.formats.images == min(QUICK.compared_images, report.data.evaluation)
    assert f"of {report.formats.images} evaluation images." in (rough.run / "report.md").read_text("utf-8")
    assert report.verdict.headline.startswith("rough answer: ")
    sentence = report.rough.text
    assert f"a sample of {report.rough.drawn} of the {report.rough.images} images" in sentence
    assert sentence in " ".join(summary(report).split())
    told = json.loads((rough.run / "report.json").read_text("utf-8"))
    assert told["conclusion"]["decision"] in ("tune in full", "keep fp32", "measure again")
    assert "without --quick" in told["conclusion"]["recommendation"]
    for name in ("report.md", "report.html"):
        text = (rough.run / name).read_text("utf-8")
        assert "rough answer: " in text
        assert "40 evaluated" in text
    assert read_report(rough.run / "report.json") == report


def test_a_quick_run_is_quick_again_when_it_is_resumed_or_reproduced(rough: TuneResult) -> None:
    assert load_config(rough.run / "config.yaml", {}).tuning.quick
    provenance = rough.report.provenance.model_copy(update={"command": ("quantize", "tune", "--resume", "r")})
    assert "--quick true" in run_command(rough.report.model_copy(update={"provenance": provenance}))


def test_a_quick_run_cannot_be_accepted_as_a_baseline(rough: TuneResult) -> None:
    path = rough.run / "report.json"
    with pytest.raises(RunError, match="its figures are rough"):
        accepted(read_document(path), where=str(path))
