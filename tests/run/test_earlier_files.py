"""Runs and baselines that an earlier version wrote: read, repeated and checked, and not continued."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from quantize.cli.main import main
from quantize.commands.check import check_run
from quantize.commands.report import draw_reports
from quantize.commands.verify import verify
from quantize.config import load_config
from quantize.errors import ExitCode
from quantize.gate.baseline import read_baseline
from quantize.report.storage import read_report
from quantize.report.text import summary
from quantize.run.repeat import Inputs
from quantize.run.request import TuneRequest
from quantize.run.tune import tune

FIXTURES = Path(__file__).parent / "fixtures" / "e637d74"
BASELINE = FIXTURES / "baseline.json"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a copy of the run of e637d74."""
    return Path(shutil.copytree(FIXTURES / "run", tmp_path / "run"))


def test_its_check_against_its_own_baseline_passes_though_it_is_slower_larger_and_has_no_p99(run: Path) -> None:
    result = check_run(run, BASELINE)
    assert result.exit_code is ExitCode.DONE
    verdicts = {line.name: line.verdict for line in result.lines}
    assert verdicts["int8.latency_p99.baseline"] == verdicts["int8.latency_p50.baseline"] == "not in the baseline"
    assert verdicts["int8.speedup.fp32"] == verdicts["int8.size.fp32"] == "accepted"
    assert verdicts["int8.agreement.fp32"] == verdicts["int8.agreement.baseline"] == "pass"
    assert result.differences == ()


def test_without_its_baseline_the_limits_that_it_misses_fail(run: Path) -> None:
    result = check_run(run, limits_only=True)
    broken = {line.name for line in result.lines if result.failing(line)}
    assert broken == {f"{role}.{figure}.fp32" for role in ("int8", "qdq") for figure in ("speedup", "size")}


def test_its_baseline_is_of_the_class_that_its_instruction_sets_tell() -> None:
    baseline = read_baseline(BASELINE)
    assert (baseline.machine.cpu_class, baseline.machine.known_class, baseline.target) == (None, "vnni", "vnni")
    assert baseline.verdict is None


def test_it_is_accepted_again_and_said_to_be_slower(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["baseline", "accept", str(run), "--output", str(tmp_path / "b.json")]) is ExitCode.DONE
    assert "slower than fp32" in capsys.readouterr().out


def test_its_report_is_drawn_with_the_verdict_that_it_had(run: Path) -> None:
    (report,) = draw_reports([run]).reports
    assert report.verdict.headline == "met"
    assert (report.verdict.speed, report.criterion.min_speedup) == (None, None)
    assert (run / "report.md").read_text("utf-8").startswith("# colours-13.onnx: met")
    assert "The int8 models meet the accuracy criterion." in (run / "report.html").read_text("utf-8")
    assert summary(report).startswith("colours-13.onnx: met")


def test_its_report_never_says_both_that_it_is_not_met_and_that_a_candidate_met(run: Path) -> None:
    values = json.loads((run / "report.json").read_text("utf-8"))
    values["verdict"].update(
        status="not met",
        text="The int8 models do NOT meet the accuracy criterion; the best candidate was written.",
        stopped_because="a candidate met the criterion",
    )
    (run / "report.json").write_text(json.dumps(values), "utf-8")
    draw_reports([run])
    for name in ("report.md", "report.html"):
        text = (run / name).read_text("utf-8")
        assert "do NOT meet" in text
        assert "because a candidate met the criterion" not in text
        assert "the files that were written from it do not" in text


@pytest.mark.parametrize("name", ["colours-13-int8.onnx", "colours-13-qdq.onnx"])
def test_its_models_are_verified(run: Path, name: str, colour_images: tuple[Path, Path]) -> None:
    inputs = Inputs(model=FIXTURES / "colours-13.onnx", data=colour_images[0], labels=colour_images[1])
    lines = {line.name: line for line in verify(run / name, inputs=inputs).lines}
    repeated = lines.pop("verify.repeat")
    assert {line.verdict for line in lines.values()} == {"pass"}
    assert repeated.found is not None, repeated.note  # repeated; whether bit for bit is not the reader's doing
    assert repeated.verdict in ("pass", "not comparable")


@pytest.mark.usefixtures("brief")
def test_it_is_replayed_under_its_own_criterion(run: Path, tmp_path: Path, colour_images: tuple[Path, Path]) -> None:
    config = load_config(
        run / "config.yaml", {"data.path": str(colour_images[0]), "data.labels": str(colour_images[1])}
    )
    model, output = FIXTURES / "colours-13.onnx", tmp_path / "again"
    result = tune(TuneRequest(config, input_model=model, output_model=output, replay=run, workers=1))
    replay = result.report.replay
    assert replay is not None
    assert replay.outcome in ("same", "not comparable")
    assert result.report.criterion.min_speedup == 0  # the run that is repeated had no criterion on speed
    assert result.exit_code is ExitCode.DONE
    assert read_report(output / "report.json") == result.report


@pytest.mark.parametrize("finished", [True, False])
def test_it_is_not_continued_and_the_message_says_what_to_do(
    run: Path, finished: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if not finished:
        (run / "report.json").unlink()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["tune", f"--resume={run}"]) is ExitCode.USER
    message = capsys.readouterr().err
    assert "an earlier version of quantize began this run" in message
    assert "--overwrite" in message
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
