from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from quantize.config import RunConfig
from quantize.run.quick import bounded
from quantize.run.request import TuneResult
from quantize.sweep.earlier import earlier_of, identity
from quantize.sweep.matrix import Entry


@pytest.fixture
def entry(ort_run: TuneResult, colour_model: Path, configured: Callable[..., RunConfig], tmp_path: Path) -> Entry:
    shutil.copytree(ort_run.run, tmp_path / "run", ignore=shutil.ignore_patterns("work"))
    return Entry("run", colour_model, None, configured({"tuning.engine": "ort"}), tmp_path / "run")


def test_a_finished_run_of_the_same_model_and_settings_is_known(entry: Entry) -> None:
    assert earlier_of(entry, overwrite=False) == "finished"
    assert earlier_of(entry, overwrite=True) == "overwrite"


def test_a_quick_run_is_known_though_its_report_holds_the_bounds_of_quick_runs(
    entry: Entry, configured: Callable[..., RunConfig]
) -> None:
    quick = configured({"tuning.engine": "ort", "tuning.quick": True})
    report = json.loads((entry.folder / "report.json").read_text(encoding="utf-8"))
    report["config"] = bounded(quick).model_dump(mode="json")
    report["config"]["quantization"]["target"] = report["chosen"]["target"]
    (entry.folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert earlier_of(replace(entry, config=quick), overwrite=False) == "finished"
    assert earlier_of(entry, overwrite=False) == "other"


def test_a_run_of_other_settings_or_of_another_model_is_not_taken_for_it(
    entry: Entry, configured: Callable[..., RunConfig], tmp_path: Path
) -> None:
    other = configured({"tuning.engine": "ort", "tuning.random_seed": 7})
    assert earlier_of(replace(entry, config=other), overwrite=False) == "other"
    target = "any" if entry.config.quantization.target != "any" else "vnni"
    elsewhere = configured({"tuning.engine": "ort", "quantization.target": target})
    assert earlier_of(replace(entry, config=elsewhere), overwrite=False) == "other"
    (tmp_path / "other.onnx").write_bytes(entry.model.read_bytes() + b"\n")
    assert earlier_of(replace(entry, model=tmp_path / "other.onnx"), overwrite=False) == "other"
    (entry.folder / "report.json").write_text("{}")
    assert earlier_of(entry, overwrite=False) == "other"


def test_a_run_without_a_report_was_begun_and_an_empty_folder_was_not(entry: Entry) -> None:
    (entry.folder / "report.json").unlink()
    assert earlier_of(entry, overwrite=False) == "begun"
    assert earlier_of(entry, overwrite=True) == "overwrite"
    (entry.folder / "trials.jsonl").unlink()
    assert earlier_of(entry, overwrite=False) == "nothing"


def test_a_journal_that_was_begun_anew_is_another_one(tmp_path: Path) -> None:
    journal = tmp_path / "trials.jsonl"
    assert identity(journal) is None
    journal.write_bytes(b"first\n")
    before = identity(journal)
    with journal.open("ab") as stream:
        stream.write(b"second\n")
    assert identity(journal) == before
    journal.write_bytes(b"other\n")
    assert identity(journal) != before
