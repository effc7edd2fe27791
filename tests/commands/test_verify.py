from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from quantize.commands.verify import Verification, report_of, verify
from quantize.errors import ExitCode, RunError
from quantize.gate.result import Line
from quantize.report.storage import read_report, write_report
from quantize.run.repeat import Inputs

MODEL = "colours-13-int8.onnx"


def test_a_written_model_is_the_one_of_its_report_and_of_its_repetition(run: Path) -> None:
    verification = verify(run / MODEL)
    assert {line.name: line.verdict for line in verification.lines} == {
        "verify.valid": "pass",
        "verify.file": "pass",
        "verify.graph": "pass",
        "verify.accuracy": "pass",
        "verify.metadata": "pass",
        "verify.repeat": "pass",
    }
    assert verification.exit_code is ExitCode.DONE


def test_a_repetition_without_the_inputs_is_inconclusive_and_no_failure(run: Path, tmp_path: Path) -> None:
    verification = verify(run / MODEL, inputs=Inputs(model=tmp_path / "gone.onnx"))
    assert verification.lines[-1].verdict == "not comparable"
    assert "; to do: name where it lies now with --input_model" in (verification.lines[-1].note or "")
    assert verification.exit_code is ExitCode.INCONCLUSIVE


def test_inputs_that_were_named_from_another_folder_are_found_again(run: Path) -> None:
    report = read_report(run / "report.json")
    source = report.source.model_copy(update={"path": "named/from/another/folder.onnx"})
    data = report.data.model_copy(update={"path": "named/there", "labels": "named/there.txt"})
    write_report(report.model_copy(update={"source": source, "data": data}), run / "report.json")
    assert verify(run / MODEL).lines[-1].verdict == "pass"


def test_a_run_whose_work_is_a_link_out_of_it_is_not_repeated_through_it(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "crops").mkdir(parents=True)
    shutil.rmtree(run / "work", ignore_errors=True)
    (run / "work").symlink_to(elsewhere)
    line = verify(run / MODEL).lines[-1]
    assert line.verdict == "not comparable"
    assert "a link in the run's folder leads out of it" in (line.note or "")
    assert list((elsewhere / "crops").iterdir()) == []


def test_another_models_bytes_under_the_name_fail(run: Path) -> None:
    shutil.copy(run / "colours-13-qdq.onnx", run / MODEL)
    verification = verify(run / MODEL, repeat=False)
    assert {line.name for line in verification.lines if line.verdict == "fail"} >= {"verify.file", "verify.graph"}
    assert verification.exit_code is ExitCode.NOT_MET


def test_the_report_is_looked_for_in_the_models_folder_and_in_its_run(run: Path, tmp_path: Path) -> None:
    assert report_of(run / MODEL) == run / "report.json"
    alone = tmp_path / "alone" / "mine.onnx"
    alone.parent.mkdir()
    shutil.copy(run / MODEL, alone)
    with pytest.raises(RunError, match="no report of this model's run"):
        report_of(alone)
    for name in ("one.run", "other.run"):
        (alone.parent / name).mkdir()
        shutil.copy(run / "report.json", alone.parent / name)
    with pytest.raises(RunError, match="several runs"):
        report_of(alone)
    (alone.parent / "mine.run").mkdir()
    shutil.copy(run / "report.json", alone.parent / "mine.run")
    assert report_of(alone) == alone.parent / "mine.run" / "report.json"


def test_a_verification_shows_how_each_check_ended() -> None:
    line = Line(
        name="verify.valid",
        title="the file is a valid ONNX model",
        baseline=None,
        found="valid",
        allowed="the same",
        verdict="pass",
    )
    assert repr(Verification((line,))) == "Verification\n  the file is a valid ONNX model: pass"
