"""What a run was asked, as its folder keeps it, and what a resumed run makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from quantize.config import load_config
from quantize.engines.inc.engine import IncSearch
from quantize.errors import ConfigError, ExitCode, RunError
from quantize.report.replay import ReplaySection
from quantize.report.storage import read_report, write_report
from quantize.run import settling
from quantize.run.paths import Asked
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.request_file import resumed, write_request
from quantize.run.tune import tune
from tests.run.conftest import Configured


def begun(place: Path, configured: Configured, **asked: Any) -> Path:
    """Return the folder of a run that has just begun."""
    run = place / "out"
    request = TuneRequest(configured({"quantization.target": "avx2"}), **asked)
    images, labels = Path("val"), Path("val.txt")
    write_request(Asked(request, Path("net.onnx"), images, labels, None, run, demonstration_data=False), run / "work")
    return run


def test_a_resumed_run_is_asked_what_it_was_asked_first_wherever_it_is_resumed(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    places: dict[str, Any] = {"replay": Path("before") / "report.json", "latency_table": Path("table.json")}
    run = begun(tmp_path, configured, **places, remove_crops=True, skip_unreadable=True, criterion="none")
    monkeypatch.chdir(tmp_path)
    found = resumed(TuneRequest(configured(), resume=run))
    assert found.input_model == here / "net.onnx"
    assert (found.data_path, found.label_path) == (here / "val", here / "val.txt")
    assert found.replay == here / "before" / "report.json"
    assert found.latency_table == here / "table.json"
    assert (found.remove_crops, found.skip_unreadable, found.criterion) == (True, True, "none")
    assert found.config.quantization.target == "avx2"


def test_a_run_that_repeats_nothing_is_resumed_as_a_search(configured: Configured, tmp_path: Path) -> None:
    found = resumed(TuneRequest(configured(), resume=begun(tmp_path, configured)))
    assert (found.replay, found.latency_table, found.remove_crops) == (None, None, False)


def test_what_is_said_when_a_run_is_resumed_is_not_lost(configured: Configured, tmp_path: Path) -> None:
    run = begun(tmp_path, configured, latency_table=tmp_path / "first.json")
    moved = TuneRequest(configured(), resume=run, latency_table=tmp_path / "moved.json", remove_crops=True)
    assert resumed(moved).latency_table == tmp_path / "moved.json"
    assert resumed(moved).remove_crops


def test_a_run_for_other_cpus_than_asked_for_is_not_resumed(configured: Configured, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="for other CPUs"):
        resumed(TuneRequest(configured({"quantization.target": "vnni"}), resume=begun(tmp_path, configured)))


@pytest.mark.parametrize("version", [1, 2])
def test_a_run_that_an_earlier_version_began_is_refused_with_what_to_do(
    configured: Configured, tmp_path: Path, version: int
) -> None:
    run = begun(tmp_path, configured)
    path = run / "work" / "request.json"
    content = json.loads(path.read_text())
    del content["target"]
    path.write_text(json.dumps(content | {"version": version}))
    with pytest.raises(RunError, match="an earlier version of quantize began this run") as caught:
        resumed(TuneRequest(configured(), resume=run))
    assert "--overwrite" in str(caught.value)
    assert "--target vnni" in str(caught.value)


@pytest.mark.parametrize("changed", [{"version": 4}, {"target": "armv7"}, {"target": None}])
def test_a_run_that_this_version_cannot_have_begun_is_refused(
    configured: Configured, tmp_path: Path, changed: dict[str, object]
) -> None:
    run = begun(tmp_path, configured)
    path = run / "work" / "request.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(RunError, match="no run here that can be continued"):
        resumed(TuneRequest(configured(), resume=run))


@pytest.mark.inc
@pytest.mark.usefixtures("brief")
def test_an_interrupted_replay_goes_on_as_the_replay_that_it_was(
    colour_run: TuneResult, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "again"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.chdir(colour_run.run.parent)
        patch.setattr(settling, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(TuneRequest(configured(), replay=Path(colour_run.run.name), output_model=run, workers=1))
    monkeypatch.setattr(IncSearch, "trials", lambda *_: pytest.fail("searched instead of replayed"))
    result = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1))
    assert result.report.replay is not None
    assert result.report.replay.outcome == "same"
    assert result.exit_code is ExitCode.DONE


@pytest.mark.inc
@pytest.mark.parametrize(("outcome", "code"), [("different", ExitCode.NOT_MET), ("same", ExitCode.DONE)])
def test_a_finished_replay_that_is_resumed_ends_with_the_exit_code_that_it_ended_with(
    colour_run: TuneResult, tmp_path: Path, outcome: str, code: ExitCode
) -> None:
    run = Path(shutil.copytree(colour_run.run, tmp_path / "out", ignore=shutil.ignore_patterns("crops")))
    replay = ReplaySection.model_validate({"of": "gone/report.json", "outcome": outcome, "differences": ()})
    write_report(read_report(run / "report.json").model_copy(update={"replay": replay}), run / "report.json")
    request = run / "work" / "request.json"
    content = json.loads(request.read_text())
    request.write_text(json.dumps(content | {"output_model": str(run), "replay": str(tmp_path / "gone")}))
    result = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run))
    assert result.report.replay == replay
    assert result.exit_code is code
