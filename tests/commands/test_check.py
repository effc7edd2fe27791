from __future__ import annotations

from pathlib import Path

import pytest

from quantize.commands.check import accept_run, check_run, default_tolerances, files_of
from quantize.errors import ConfigError, ExitCode, RunError
from quantize.gate.document import read_document


def test_a_run_holds_what_it_was_accepted_with(run: Path, tmp_path: Path) -> None:
    accepted = accept_run(run, tmp_path / "baseline.json")
    assert accepted.images == 72
    result = check_run(run, tmp_path / "baseline.json", junit_file=tmp_path / "junit.xml")
    assert result.exit_code in (ExitCode.DONE, ExitCode.INCONCLUSIVE)  # so few images settle little
    assert not [line for line in result.lines if line.verdict == "fail"]
    assert (run / "check.md").read_text().startswith("#")
    assert "<testsuite" in (tmp_path / "junit.xml").read_text()


def test_without_writing_the_run_stays_as_it_is(run: Path) -> None:
    before = sorted(run.iterdir())
    check_run(run / "report.json", limits_only=True, write=False)
    assert sorted(run.iterdir()) == before


def test_tolerances_of_a_baseline_need_one(run: Path) -> None:
    assert default_tolerances().against_baseline
    with pytest.raises(ConfigError, match="none was given") as caught:
        check_run(run)
    assert "--baseline none" in str(caught.value.advice)


def test_a_baseline_is_not_made_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run"):
        accept_run(tmp_path / "nowhere", tmp_path / "baseline.json")
    assert not (tmp_path / "baseline.json").exists()


def test_files_that_are_gone_or_damaged_have_no_facts(run: Path) -> None:
    (run / "colours-13-int8.onnx").unlink()
    (run / "colours-13-qdq.onnx").write_bytes(b"damaged")
    files = files_of(read_document(run / "report.json"), run)
    assert files["int8"] is None
    assert files["qdq"] is not None
    assert files["qdq"].graph_sha256 is None
