"""What a run tells that is broken off, and that its folder and its disk are looked at."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.errors import RunError, StorageError
from quantize.run import settle, space
from quantize.run.broken_off import told_how_to_go_on
from quantize.run.folder import RunFolder
from quantize.run.request import TuneRequest
from quantize.run.tune import tune
from tests.run.conftest import Configured

pytestmark = pytest.mark.usefixtures("brief", "fast_integers")


@pytest.fixture
def request_in(configured: Configured, colour_model: Path) -> Callable[[Path], TuneRequest]:
    """Return a maker of the request of a small run in a folder."""
    config = configured({"tuning.engine": "native"})
    return lambda folder: TuneRequest(config, input_model=colour_model, output_model=folder, workers=1)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunError("something to fix"), ValueError("a bug")])
def test_a_run_that_is_broken_off_names_the_command_that_goes_on(
    request_in: Callable[[Path], TuneRequest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
) -> None:
    def break_off(*_: object) -> None:
        raise error

    monkeypatch.setattr(settle, "build", break_off)
    with caplog.at_level(logging.INFO, "quantize"), pytest.raises(type(error)):
        tune(request_in(tmp_path / "my run"))
    assert f"quantize tune --resume '{tmp_path}/my run'" in caplog.messages[-1]


def test_a_run_that_finished_nothing_is_to_be_begun_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = RunFolder(tmp_path, tmp_path / "int8.onnx", tmp_path / "qdq.onnx")
    with caplog.at_level(logging.INFO, "quantize"), pytest.raises(KeyboardInterrupt), told_how_to_go_on(folder):
        raise KeyboardInterrupt
    assert caplog.messages == ["nothing was finished yet: the same command begins again"]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_run_whose_folder_is_removed_or_replaced_says_so_and_gives_no_report(
    request_in: Callable[[Path], TuneRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    run, build = tmp_path / "out", settle.build

    def remove(*arguments: object) -> object:
        run.rename(tmp_path / "elsewhere")
        if replaced:
            shutil.copytree(tmp_path / "elsewhere", run)
        return build(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(settle, "build", remove)
    with pytest.raises(RunError, match="the run's folder was removed or replaced"):
        tune(request_in(run))
    assert not (run / "report.json").exists()


def test_a_run_that_its_disk_cannot_hold_is_refused_before_anything_is_written(
    request_in: Callable[[Path], TuneRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda _: 1_000_000)
    with pytest.raises(StorageError, match="not enough disk space") as caught:
        tune(request_in(tmp_path / "out"))
    assert caught.value.found == "1.0 MB free"
    assert caught.value.expected is not None
    assert caught.value.expected.startswith("at least ")
    assert caught.value.advice
    assert not (tmp_path / "out").exists()


def test_a_disk_that_may_not_hold_a_run_is_warned_of(
    request_in: Callable[[Path], TuneRequest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    needs = (space.Need(tmp_path, 1_000, 3_000_000),)
    monkeypatch.setattr(space, "run_needs", lambda *_: needs)
    monkeypatch.setattr(space, "free_bytes", lambda _: 2_000_000)
    monkeypatch.setattr(settle, "build", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with caplog.at_level(logging.INFO, "quantize"), pytest.raises(KeyboardInterrupt):
        tune(request_in(tmp_path / "out"))
    assert f"{tmp_path}: 2.0 MB free; a run like this one takes about 3.0 MB" in caplog.messages
