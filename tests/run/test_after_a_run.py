"""Uses of a finished run: inspecting and verifying its models, repeating, accepting, checking and drawing it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

from quantize.cli.main import main
from quantize.commands.inspection import inspect_model
from quantize.commands.verify import verify
from quantize.errors import ExitCode, RunError
from quantize.gate.result import Verdict
from quantize.graph.identity import graph_sha256
from quantize.models.artifact import ModelArtifact
from quantize.report.html import html
from quantize.run.repeat import Inputs
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.conftest import Configured


@pytest.fixture
def run(colour_run: TuneResult, tmp_path: Path) -> Path:
    """A copy of the finished run that tests may damage."""
    return Path(shutil.copytree(colour_run.run, tmp_path / "run", ignore=shutil.ignore_patterns("work")))


def _int8(run: Path) -> Path:
    return next(run.glob("*-int8.onnx"))


def _verdicts(model: Path, **options: Any) -> dict[str, Verdict]:
    return {line.name.removeprefix("verify."): line.verdict for line in verify(model, **options).lines}


def test_metadata_were_added_after_the_measurement_and_changed_nothing_else(colour_run: TuneResult) -> None:
    for section in colour_run.report.models:
        artifact = ModelArtifact.load(colour_run.run / section.file)
        assert (artifact.sha256, artifact.graph_sha256) == (section.sha256, section.graph_sha256)
        assert section.selection.evaluation.graph_sha256 == artifact.graph_sha256
        assert artifact.bytes == section.bytes


@pytest.mark.parametrize("pattern", ["*-int8.onnx", "*-qdq.onnx"])
def test_inspecting_a_written_model_shows_its_run_and_its_arithmetic(colour_run: TuneResult, pattern: str) -> None:
    inspection = inspect_model(next(colour_run.run.glob(pattern)))
    assert inspection.facts["recipe_id"] == colour_run.report.chosen.recipe_id
    assert inspection.facts["source_sha256"] == colour_run.report.source.sha256
    assert inspection.arithmetic.share == 1.0
    assert inspection.format == ("qdq" if "qdq" in pattern else "qlinear")


def test_inspecting_another_model_says_that_it_carries_no_facts(
    colour_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(colour_model)]) is ExitCode.DONE
    out = capsys.readouterr().out
    assert "0.0 % of them in int8" in out
    assert "No metadata:" in out


def test_a_written_model_is_verified_and_its_run_repeated_bit_for_bit(colour_run: TuneResult) -> None:
    verdicts = _verdicts(_int8(colour_run.run))
    assert set(verdicts) == {"valid", "file", "graph", "accuracy", "metadata", "repeat"}
    assert set(verdicts.values()) == {"pass"}


def test_a_changed_weight_is_another_file_and_another_graph(run: Path) -> None:
    model = onnx.load(_int8(run))
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weight.raw_data = bytes(reversed(weight.raw_data))
    onnx.save(model, _int8(run))
    verdicts = _verdicts(_int8(run), repeat=False)
    assert {name for name, verdict in verdicts.items() if verdict == "fail"} == {"file", "graph", "accuracy"}


def test_changed_metadata_are_reported(run: Path) -> None:
    model = onnx.load(_int8(run))
    before = graph_sha256(model)
    next(entry for entry in model.metadata_props if entry.key == "quantize.top1").value = "0.99"
    onnx.save(model, _int8(run))
    assert graph_sha256(model) == before
    verdicts = _verdicts(_int8(run), repeat=False)
    assert (verdicts["file"], verdicts["graph"], verdicts["metadata"]) == ("fail", "pass", "fail")


def test_a_run_whose_inputs_are_gone_is_inconclusive(run: Path, tmp_path: Path) -> None:
    verification = verify(_int8(run), inputs=Inputs(model=tmp_path / "gone.onnx"))
    line = verification.lines[-1]
    assert line.verdict == "not comparable"
    assert "gone.onnx" in (line.note or "")
    assert verification.exit_code is ExitCode.INCONCLUSIVE


def test_other_calibration_images_are_not_the_runs(run: Path, colour_images: tuple[Path, Path], tmp_path: Path) -> None:
    other = Path(shutil.copytree(colour_images[0], tmp_path / "val"))
    images = sorted(other.iterdir())
    images[0].write_bytes(images[1].read_bytes())
    for image in images[2:]:
        image.write_bytes(images[0].read_bytes())
    line = verify(_int8(run), inputs=Inputs(data=other, labels=colour_images[1])).lines[-1]
    assert line.verdict == "not comparable"
    assert "calibration images" in (line.note or "")


def test_a_model_without_a_report_next_to_it_is_the_users_to_fix(run: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copy(_int8(run), tmp_path / "alone.onnx"))
    with pytest.raises(RunError, match="no report"):
        verify(alone)
    assert _verdicts(alone, report=run, repeat=False)["file"] == "pass"


@pytest.mark.usefixtures("brief")
def test_a_replay_gives_the_same_models_without_a_search(
    colour_run: TuneResult, configured: Configured, tmp_path: Path
) -> None:
    again = tune(TuneRequest(configured(), replay=colour_run.run, output_model=tmp_path / "again", workers=1))
    assert again.report.replay is not None
    assert again.report.replay.outcome == "same"
    assert len(again.report.trials) == 1
    assert [model.graph_sha256 for model in again.report.models] == [
        model.graph_sha256 for model in colour_run.report.models
    ]


def test_a_run_is_accepted_and_checked_from_the_command_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline, junit, tolerances = tmp_path / "b.json", tmp_path / "j.xml", tmp_path / "t.yaml"
    tolerances.write_text("against_fp32: {agreement: {at_least: 0.9}}\nagainst_baseline: {size: {relative: 0.01}}\n")
    assert main(["baseline", "accept", str(run), f"--output={baseline}"]) is ExitCode.DONE
    words = ["check", str(run / "report.json"), f"--baseline={baseline}", f"--tolerances={tolerances}"]
    assert main([*words, f"--junit={junit}"]) is ExitCode.DONE
    assert "none failed" in capsys.readouterr().out
    assert junit.is_file()
    assert (run / "check.md").is_file()
    values = json.loads((run / "report.json").read_text())
    del values["models"][0]["selection"]["evaluation"]["fidelity"]["agreement"]
    (run / "report.json").write_text(json.dumps(values))
    assert main(words) is ExitCode.NOT_MET
    assert "missing             int8 (QLinear): agreement with fp32" in capsys.readouterr().out


def test_a_report_is_drawn_again_from_json_alone(
    run: Path, colour_run: TuneResult, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("report.md", "report.html"):
        (run / name).unlink()
    assert main(["report", str(run)]) is ExitCode.DONE
    assert (run / "report.html").read_text("utf-8") == html(colour_run.report)
    assert (run / "report.html").read_bytes() == (colour_run.run / "report.html").read_bytes()
    assert main(["report", str(run), str(run / "report.json")]) is ExitCode.DONE
    assert "Side by side" in capsys.readouterr().out
    assert (run.parent / "comparison.html").is_file()


@pytest.mark.parametrize("kind", ["report", "benchmark", "baseline", "check"])
def test_every_schema_is_printed_as_json(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) is ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["type"] == "object"


def test_flips_are_listed_in_a_file_next_to_the_report(colour_run: TuneResult) -> None:
    flips = colour_run.report.flips
    assert flips is not None
    lines = (colour_run.run / "flips.csv").read_text("utf-8").splitlines()
    assert len(lines) == flips.count + 1
    assert sum(flips.effects.values()) == flips.count
    assert flips.images == colour_run.report.data.evaluation
