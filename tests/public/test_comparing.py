from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import quantize
from quantize.errors import RunError
from quantize.report.storage import read_report
from quantize.run.request import TuneResult as FinishedRun


@pytest.fixture
def runs(ort_run: FinishedRun, tmp_path: Path) -> tuple[Path, Path]:
    """A run, and the same one as if it had been asked for another input."""
    first, second = (Path(shutil.copytree(ort_run.run, tmp_path / name)) for name in ("first", "second"))
    report = read_report(second / "report.json")
    other = report.model_copy(update={"config": {**report.config, "input_contract": "uint8-nhwc"}})
    (second / "report.json").write_text(other.model_dump_json(), encoding="utf-8")
    return first, second


def test_runs_are_compared_as_records(runs: tuple[Path, Path]) -> None:
    first, second = runs
    compared = quantize.compare(first, quantize.TuneResult.open(second))
    assert compared.names == ("first", "second")
    assert [(one["run"], one["role"]) for one in compared.figures] == [
        (name, role) for name in ("first", "second") for role in ("fp32", "int8", "qdq")
    ]
    assert compared.figures[1]["bytes"] == compared.runs[0].int8.bytes
    (change,) = compared.changes
    assert change == {
        "kind": "setting",
        "name": "input_contract",
        "first": "first",
        "before": "as-is",
        "second": "second",
        "after": "uint8-nhwc",
    }


def test_a_comparison_is_text_in_a_terminal_and_tables_in_a_notebook(runs: tuple[Path, Path]) -> None:
    compared = quantize.compare(*runs)
    assert "Settings that changed from first to second" in repr(compared)
    assert max(map(len, repr(compared).splitlines())) <= 80
    assert "<td>input_contract</td><td>as-is</td><td>uint8-nhwc</td>" in compared._repr_html_()


def test_a_page_is_written_where_one_is_asked_for_and_nothing_else(runs: tuple[Path, Path], tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert quantize.compare(*runs).page is None
    assert sorted(tmp_path.iterdir()) == before
    compared = quantize.compare(*runs, output=tmp_path / "page.html")
    assert compared.page == tmp_path / "page.html"
    assert "input_contract" in compared.page.read_text(encoding="utf-8")


def test_one_run_is_refused(runs: tuple[Path, Path]) -> None:
    with pytest.raises(RunError, match="nothing to compare with"):
        quantize.compare(runs[0])
