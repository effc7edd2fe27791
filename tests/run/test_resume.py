"""The request of a run as its journal keeps it, and resuming a run in the folder that is named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quantize.config import load_config
from quantize.engines.ort.search import OrtSearch
from quantize.errors import ConfigError, ExitCode, RunError
from quantize.journal import Journal
from quantize.report.provenance import ReplaySection
from quantize.report.storage import read_report, write_report
from quantize.run import resume, settle
from quantize.run.recorded_request import request_record
from quantize.run.request import RunRequest, TuneRequest, TuneResult
from quantize.run.resume import resumed_request
from quantize.run.tune import tune
from tests.run.colours import bytes_of
from tests.run.conftest import Configured


def begun(place: Path, configured: Configured, *, changed: Mapping[str, object] | None = None, **asked: Any) -> Path:
    """Return the folder of a run that has just begun; ``changed`` are other values in its record."""
    run = asked.pop("folder", place / "out")
    config = configured({"quantization.target": "avx2", "data.path": "val", "data.labels": "val.txt"})
    request = RunRequest(config, Path("net.onnx"), Path("val"), Path("val.txt"), None, **({"output": run} | asked))
    Journal(run / "trials.jsonl", {}, resume=False, request={**request_record(request, run), **(changed or {})})
    return Path(run)


def asks(run: Path, **changed: Any) -> TuneRequest:
    """Return the request that goes on with a run, with the settings that its configuration holds."""
    return TuneRequest(load_config(None, {"data.path": "val", "data.labels": "val.txt"}), resume=run, **changed)


def test_a_resumed_run_is_asked_what_it_was_asked_first_wherever_it_is_resumed(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    places: dict[str, Any] = {"replay": Path("before") / "report.json", "latency_table": Path("table.json")}
    run = begun(tmp_path, configured, **places, remove_crops=True, skip_unreadable=True, criterion="none")
    monkeypatch.chdir(tmp_path)
    again = resumed_request(asks(run))
    assert again.input_model == here / "net.onnx"
    assert (again.data_path, again.label_path) == (here / "val", here / "val.txt")
    assert again.replay == here / "before" / "report.json"
    assert again.latency_table == here / "table.json"
    assert (again.remove_crops, again.skip_unreadable, again.criterion) == (True, True, "none")
    assert again.config.quantization.target == "avx2"
    assert again.output_model == run


def test_inputs_that_were_moved_with_the_run_are_found_where_they_are_now(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    monkeypatch.chdir(first)
    begun(first, configured)
    (first / "net.onnx").write_text("a model")
    shutil.copytree(first, second)
    assert resumed_request(asks(second / "out")).input_model == second / "net.onnx"
    (second / "net.onnx").unlink()
    again = resumed_request(asks(second / "out"))
    assert again.input_model == Path("net.onnx")  # named as it was, from the folder in which it was


@pytest.mark.parametrize(
    ("output", "folder", "moved", "expected"),
    [
        ("out", "out", "elsewhere", "elsewhere"),
        ("mine.onnx", "mine.run", "mine.run", "mine.onnx"),
        ("mine.onnx", "mine.run", "theirs.run", "theirs.onnx"),
        ("mine.onnx", "mine.run", "elsewhere", "elsewhere"),
    ],
)
def test_a_run_goes_on_in_the_folder_that_is_named_wherever_it_was_begun(
    configured: Configured, tmp_path: Path, output: str, folder: str, moved: str, expected: str
) -> None:
    run = begun(tmp_path, configured, output=tmp_path / output, folder=tmp_path / folder)
    other = tmp_path / "strangers"
    other.mkdir()
    run.rename(other / moved)
    assert resumed_request(asks(other / moved)).output_model == other / expected
    assert resumed_request(asks(other / moved, output_model=tmp_path)).output_model == other / expected


def test_a_run_that_repeats_nothing_is_resumed_as_a_search(configured: Configured, tmp_path: Path) -> None:
    again = resumed_request(TuneRequest(configured(), resume=begun(tmp_path, configured)))
    assert (again.replay, again.latency_table, again.remove_crops) == (None, None, False)


def test_flags_given_when_a_run_is_resumed_are_not_lost(configured: Configured, tmp_path: Path) -> None:
    run = begun(tmp_path, configured, latency_table=tmp_path / "first.json")
    moved = asks(run, latency_table=tmp_path / "moved.json", input_model=tmp_path / "moved.onnx", remove_crops=True)
    again = resumed_request(moved)
    assert again.latency_table == tmp_path / "moved.json"
    assert again.input_model == tmp_path / "moved.onnx"
    assert again.remove_crops
    images = TuneRequest(load_config(None, {"data.path": "moved", "data.labels": "moved.txt"}), resume=run)
    assert resumed_request(images).data_path == Path("moved")
    assert resumed_request(images).label_path == Path("moved.txt")


@pytest.mark.parametrize("finished", [False, True])
def test_a_run_is_not_resumed_with_other_settings_whether_it_has_ended_or_not(
    colour_run: TuneResult, configured: Configured, tmp_path: Path, finished: bool
) -> None:
    run = tmp_path / "out"
    shutil.copytree(colour_run.run, run)
    if not finished:
        (run / "report.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with pytest.raises(RunError, match="settings that it was begun with") as caught:
        tune(TuneRequest(configured({"evaluation.performance.iteration": "7"}), resume=run))
    assert caught.value.found == "evaluation.performance.iteration: 7"
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_run_for_other_cpus_than_asked_for_is_not_resumed(configured: Configured, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="for other CPUs"):
        resumed_request(TuneRequest(configured({"quantization.target": "vnni"}), resume=begun(tmp_path, configured)))


@pytest.mark.parametrize("changed", [{"target": "armv7"}, {"target": None}, {"data": "val"}, {"output": "/etc"}])
def test_a_run_that_this_version_cannot_have_begun_is_refused(
    configured: Configured, tmp_path: Path, changed: dict[str, object]
) -> None:
    run = begun(tmp_path, configured, changed=changed)
    with pytest.raises(RunError, match="no run here that can be continued"):
        resumed_request(TuneRequest(configured(), resume=run))


def test_only_a_run_can_be_resumed(configured: Configured, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run here that can be continued"):
        tune(TuneRequest(configured(), resume=tmp_path))
    assert list(tmp_path.iterdir()) == []


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("brief", "fast_integers")
def test_a_run_that_was_moved_and_renamed_goes_on_where_it_is_and_writes_nowhere_else(
    configured: Configured, colour_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured({"tuning.engine": "native"})
    unbroken = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "whole", workers=1))
    (tmp_path / "begun").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(settle, "build", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "begun" / "out", workers=1))
    moved = tmp_path / "strangers" / "run"
    moved.parent.mkdir()
    shutil.copytree(tmp_path / "begun" / "out", moved)
    before, steps = bytes_of(tmp_path / "begun"), (moved / "trials.jsonl").read_bytes()
    monkeypatch.chdir(tmp_path / "strangers")
    result = tune(TuneRequest(load_config(Path("run") / "config.yaml", {}), resume=Path("run"), workers=1))
    assert result.run == Path("run")
    assert bytes_of(tmp_path / "begun") == before
    assert [path.name for path in moved.parent.iterdir()] == ["run"]
    assert (moved / "trials.jsonl").read_bytes().startswith(steps)
    assert result.report.chosen.recipe_id == unbroken.report.chosen.recipe_id
    for role in ("int8", "qdq"):
        assert (moved / result.report.model(role).file).is_file()
        assert result.report.model(role).graph_sha256 == unbroken.report.model(role).graph_sha256


@pytest.mark.usefixtures("brief", "fast_integers")
def test_a_second_run_in_the_same_folder_is_refused_while_the_first_is_at_work(
    configured: Configured, colour_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = TuneRequest(
        configured({"tuning.engine": "native"}), input_model=colour_model, output_model=tmp_path / "out", workers=1
    )
    refusals: list[str] = []

    def second(*_: object) -> None:
        for overwrite in (False, True):
            with pytest.raises(RunError, match="another run is at work") as refused:
                tune(replace(request, overwrite=overwrite))
            refusals.append(str(refused.value))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(settle, "build", second)
        with pytest.raises(KeyboardInterrupt):
            tune(request)
    assert len(refusals) == 2
    assert all(f"process {os.getpid()} on " in text for text in refusals)
    assert tune(replace(request, overwrite=True)).exit_code is ExitCode.DONE


@pytest.mark.usefixtures("brief")
def test_an_interrupted_replay_goes_on_as_the_replay_that_it_was(
    colour_run: TuneResult, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "again"

    with monkeypatch.context() as patch:
        patch.chdir(colour_run.run.parent)
        patch.setattr(settle, "build", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(TuneRequest(configured(), replay=Path(colour_run.run.name), output_model=run, workers=1))
    monkeypatch.setattr(OrtSearch, "trials", lambda *_: pytest.fail("searched instead of replayed"))
    result = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1))
    assert result.report.replay is not None
    assert result.report.replay.outcome == "same"
    assert result.exit_code is ExitCode.DONE


@pytest.mark.parametrize(("outcome", "code"), [("different", ExitCode.NOT_MET), ("same", ExitCode.DONE)])
def test_a_finished_replay_that_is_resumed_ends_with_the_exit_code_that_it_ended_with(
    colour_run: TuneResult, tmp_path: Path, outcome: str, code: ExitCode
) -> None:
    run = Path(shutil.copytree(colour_run.run, tmp_path / "out", ignore=shutil.ignore_patterns("crops")))
    replay = ReplaySection.model_validate({"of": "gone/report.json", "outcome": outcome, "differences": ()})
    write_report(read_report(run / "report.json").model_copy(update={"replay": replay}), run / "report.json")
    result = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run))
    assert result.report.replay == replay
    assert result.exit_code is code


@pytest.mark.usefixtures("brief", "fast_integers")
def test_a_run_has_its_settings_from_the_moment_at_which_it_can_be_resumed(
    configured: Configured, colour_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = configured({"tuning.engine": "native"}), tmp_path / "out"

    def killed(*_: object, **__: object) -> None:
        assert load_config(run / "config.yaml", {}).quantization.calibration.sampling_size == 24
        raise KeyboardInterrupt

    monkeypatch.setattr(resume, "Journal", killed)
    with pytest.raises(KeyboardInterrupt):
        tune(TuneRequest(config, input_model=colour_model, output_model=run, workers=1))
    assert not (run / "trials.jsonl").exists()
