"""What a check leaves for machines and people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, Skipped

from quantize.commands.check import accept_run, check_run
from quantize.errors import ExitCode
from quantize.gate.baseline import Baseline, read_baseline
from quantize.gate.changes import difference
from quantize.gate.drawings import check_text, junit
from quantize.gate.result import GateResult, Line, Verdict
from quantize.report.storage import json_schema


def _line(verdict: Verdict, name: str = "int8.kl.fp32") -> Line:
    return Line(name=name, title="KL", baseline=None, found="1", allowed="at most 1", verdict=verdict)


def _result(*verdicts: Verdict, on_inconclusive: Any = None) -> GateResult:
    lines = tuple(_line(verdict, f"int8.figure{number}.fp32") for number, verdict in enumerate(verdicts))
    return GateResult(run="run", lines=lines, differences=(), notes=(), on_inconclusive=on_inconclusive)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("pass", "better", "not comparable", "not applicable"), ExitCode.DONE),
        (("pass", "inconclusive"), ExitCode.INCONCLUSIVE),
        (("inconclusive", "fail"), ExitCode.NOT_MET),
        (("pass", "missing"), ExitCode.NOT_MET),
        ((), ExitCode.DONE),
    ],
)
def test_the_worst_line_gives_the_exit_code(verdicts: tuple[Verdict, ...], code: ExitCode) -> None:
    assert _result(*verdicts).exit_code is code


@pytest.mark.parametrize("policy", [None, "pass", "fail"])
def test_an_independent_parser_reads_the_junit_file(policy: str | None, tmp_path: Path) -> None:
    result = _result("pass", "fail", "missing", "inconclusive", "better", "not comparable", on_inconclusive=policy)
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
    assert "\npass                int8 (QLinear): top-1 drop against fp32\n                    baseline 67.75 %" in text
    assert text.startswith("46 tolerances checked, none broken.")


def test_check_md_names_what_failed_and_what_changed(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(lambda r: r["models"][0]["selection"]["evaluation"]["fidelity"].update(agreement=0.5))
    run.change(lambda r: r["provenance"]["versions"].update(onnxruntime="99.0"))
    check_run(run.folder, baseline)
    text = (run.folder / "check.md").read_text("utf-8")
    assert text.startswith("# Quantization check FAILED")
    assert "| int8 (QLinear): agreement with fp32 | – | 50.00 % | at least 90.00 % | fail |" in text
    assert "| version of onnxruntime |" in text


def test_accepting_the_same_run_twice_gives_the_same_bytes(new_run: Any, tmp_path: Path) -> None:
    run = new_run()
    for name in ("a.json", "b.json"):
        accept_run(run.folder, tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").stat().st_size < 6000


def test_a_baseline_is_of_its_schema_and_changes_a_line_a_value(new_run: Any, tmp_path: Path) -> None:
    run = new_run()
    accept_run(run.folder, tmp_path / "a.json")
    jsonschema.validate(json.loads((tmp_path / "a.json").read_text()), json.loads(json_schema(Baseline)))
    run.change(lambda r: r["models"][0]["selection"]["evaluation"]["fidelity"].update(agreement=0.5))
    accept_run(run.folder, tmp_path / "b.json")
    before, after = ((tmp_path / name).read_text().splitlines() for name in ("a.json", "b.json"))
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.strip() for _, new in changed] == ['"agreement": 0.5,']
    assert read_baseline(tmp_path / "b.json").models["int8"].figures["agreement"] == 0.5


_OWN = sorted((Path(__file__).resolve().parents[1] / "baselines").glob("*.json"))


@pytest.mark.parametrize("path", _OWN, ids=lambda path: path.stem)
def test_the_projects_own_baselines_name_their_class_their_cpu_and_the_commit(path: Path) -> None:
    own = read_baseline(path)
    network, cpu_class = path.stem.split(".")
    assert (network, own.machine.known_class) == ("squeezenet", cpu_class)
    assert own.target == cpu_class
    assert own.machine.cpu_model is not None
    assert own.commit is not None
    assert own.models["int8"].figures["top1_drop"] <= 0.01


def test_the_project_has_a_baseline_for_cpus_with_vnni() -> None:
    assert "squeezenet.vnni.json" in {path.name for path in _OWN}


@given(
    st.floats(0, 1), st.integers(10, 5000), st.floats(0, 1), st.integers(10, 5000), st.sampled_from([0.5, 0.9, 0.99])
)
def test_the_unpaired_difference_lies_within_its_interval(a: float, n: int, b: float, m: int, c: float) -> None:
    first, second = round(a * n) / n, round(b * m) / m
    interval = difference(first, n, second, m, c)
    assert interval.low - 1e-12 <= first - second <= interval.high + 1e-12
    mirrored = difference(second, m, first, n, c)
    assert mirrored.low == pytest.approx(-interval.high)


def test_newcombes_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table II, case (a), method 10: 56/70 - 48/80.
    interval = difference(56 / 70, 70, 48 / 80, 80, 0.95)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0524, 0.3339)
