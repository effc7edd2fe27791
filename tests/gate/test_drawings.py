"""A check for terminals, pull requests and test runners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from junitparser import Failure, JUnitXml, Skipped

from quantize.commands.check import check_run
from quantize.gate.drawings import check_text, junit
from tests.gate.conftest import result_of


@pytest.mark.parametrize("policy", [None, "pass", "fail"])
def test_an_independent_parser_reads_the_junit_file(policy: str | None, tmp_path: Path) -> None:
    result = result_of("pass", "fail", "missing", "inconclusive", "better", "not comparable", on_inconclusive=policy)
    (tmp_path / "junit.xml").write_text(junit(result), "utf-8")
    xml = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    (suite,) = list(xml)
    cases = list(suite)
    failures = sum(any(isinstance(outcome, Failure) for outcome in case.result) for case in cases)
    skipped = sum(any(isinstance(outcome, Skipped) for outcome in case.result) for case in cases)
    assert (len(cases), failures, skipped) == (6, 2 if policy == "pass" else 3, 2 if policy == "pass" else 1)
    assert (suite.tests, suite.failures, suite.skipped) == (6, failures, skipped)


def test_the_terminal_lines_the_verdicts_up(new_run: Any, baseline: Path) -> None:
    text = check_text(check_run(new_run().folder, baseline))
    assert text.startswith("46 checks, none failed.")
    assert "int8 (QLinear)" not in text
    assert "46 passed; check.md lists them." in text


def test_check_md_names_what_failed_and_what_changed(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(lambda r: r["models"][0]["selection"]["evaluation"]["fidelity"].update(agreement=0.5))
    run.change(lambda r: r["provenance"]["versions"].update(onnxruntime="99.0"))
    check_run(run.folder, baseline)
    text = (run.folder / "check.md").read_text("utf-8")
    assert text.startswith("# Quantization check FAILED")
    assert "| fail | int8 (QLinear): agreement with fp32 | – | 50.00 % | at least 90.00 % |" in text
    assert text.index("| fail |") < text.index("<details>") < text.index("| pass |")
    assert "| version of onnxruntime |" in text
