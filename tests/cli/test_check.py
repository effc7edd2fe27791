from __future__ import annotations

from pathlib import Path

import pytest

from quantize.cli.main import main
from quantize.errors import ExitCode
from quantize.run.request import TuneResult


@pytest.fixture(autouse=True)
def _outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def _check(run: Path, tolerance: str, place: Path) -> ExitCode:
    """Check a run against one limit."""
    (place / "tolerances.yaml").write_text(f"version: 1\nagainst_fp32:\n  {tolerance}\n")
    words = ["--baseline", "none", f"--tolerances={place / 'tolerances.yaml'}", "--on_inconclusive=pass"]
    return main(["check", str(run), *words])


def test_a_run_is_accepted_and_checked(
    ort_run: TuneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["baseline", "accept", str(ort_run.run)]) is ExitCode.DONE
    assert capsys.readouterr().out.startswith("baseline.json: recipe ")
    words = ["check", str(ort_run.run), "--baseline=baseline.json", "--on-inconclusive", "pass"]
    assert main([*words, "--junit", "junit.xml"]) is ExitCode.DONE
    assert (tmp_path / "junit.xml").is_file()


def test_the_baseline_none_is_not_a_file(
    ort_run: TuneResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _check(ort_run.run, "agreement: { at_least: 0.9 }", tmp_path) is ExitCode.DONE
    assert main(["check", str(ort_run.run), "--baseline", "./none"]) is ExitCode.USER
    assert "none" in capsys.readouterr().err


def test_a_limit_that_is_not_held_fails(ort_run: TuneResult, tmp_path: Path) -> None:
    assert _check(ort_run.run, "size: { at_most: 0.001 }", tmp_path) is ExitCode.NOT_MET


def test_github_gets_a_summary_and_annotations(
    ort_run: TuneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    _check(ort_run.run, "size: { at_most: 0.001 }", tmp_path)
    assert "::error" in capsys.readouterr().out
    assert (tmp_path / "summary.md").stat().st_size > 0
