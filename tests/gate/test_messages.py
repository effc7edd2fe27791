"""What the gate prints; QUANTIZE_UPDATE_GOLDEN=1 rewrites the golden files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from quantize.cli.main import main
from quantize.commands.check import accept_run
from quantize.errors import ExitCode
from tests.gate.test_across_classes import on
from tests.gate.test_unchanged import few_runs, misses, slow

_GOLDEN = Path(__file__).parent / "golden"
_LIMITS = """\
identity: {source: any, data: any, preprocessing: any, files: any}
against_fp32: {agreement: {at_least: 0.9}, speedup: {at_least: 1}, integer_share: {at_least: 0.5, classes: [vnni]}}
against_baseline: {agreement: {points: 0.01}, latency_p99: {relative: 0.2}}
"""


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs a command and compares its output with a golden file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (tmp_path / "limits.yaml").write_text(_LIMITS)

    def compare(name: str, code: ExitCode, *words: str) -> None:
        assert main(list(words)) is code
        out, err = capsys.readouterr()
        text = re.sub(r"graph hash [0-9a-f]+", "graph hash …", out + err)
        golden = _GOLDEN / f"{name}.txt"
        if os.environ.get("QUANTIZE_UPDATE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(text, "utf-8")
        assert text == golden.read_text("utf-8")
        assert max(map(len, out.splitlines()), default=0) <= 80

    return compare


def test_a_run_that_missed_its_criterion_is_accepted_with_these_words(new_run: Any, printed: Any) -> None:
    new_run("run").change(misses)
    printed("accept_missed", ExitCode.DONE, "baseline", "accept", "run", "--output=b.json")


def test_an_unchanged_run_reports_what_it_misses_and_what_was_not_compared(new_run: Any, printed: Any) -> None:
    run = new_run("run")
    for edit in (few_runs, misses, slow):
        run.change(edit)
    accept_run(run.folder, Path("b.json"))
    printed("check_unchanged", ExitCode.DONE, "check", "run", "--baseline=b.json", "--tolerances=limits.yaml")
    required = "--require=latency_p99,criterion"
    printed(
        "check_required", ExitCode.NOT_MET, "check", "run", "--baseline=b.json", "--tolerances=limits.yaml", required
    )


def test_a_run_on_another_class_of_cpus_reports_why_times_are_not_compared(new_run: Any, printed: Any) -> None:
    accept_run(new_run("first").folder, Path("b.json"))
    new_run("run").change(on("avx2", "avx2"))
    printed("check_across", ExitCode.DONE, "check", "run", "--baseline=b.json", "--tolerances=limits.yaml")


def test_limits_alone_are_reported_as_such(new_run: Any, printed: Any) -> None:
    new_run("run").change(lambda values: values["verdict"].update(status="not met"))
    printed("check_limits_alone", ExitCode.DONE, "check", "run", "--baseline=none", "--tolerances=limits.yaml")


def test_no_baseline_and_a_wrong_required_figure_are_the_users_to_fix(new_run: Any, printed: Any) -> None:
    accept_run(new_run("run").folder, Path("b.json"))
    printed("no_baseline", ExitCode.USER, "check", "run")
    printed("require_unknown", ExitCode.USER, "check", "run", "--baseline=b.json", "--require=latency_p98")
