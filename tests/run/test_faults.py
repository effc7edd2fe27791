"""A share of `benchmarks/break_runs.py`: what a run comes to whose files the system refuses."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.config import load_config
from quantize.errors import ExitCode, RunError, StorageError
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.conftest import Configured

pytestmark = pytest.mark.usefixtures("brief", "fast_integers")


class Refusing:
    """Counts the calls of a function of the system, and refuses from one of them on, or that one alone."""

    def __init__(self, function: Callable[..., object], at: int, number: int, *, stays: bool) -> None:
        self.calls = 0
        self._function, self._at, self._number, self._stays = function, at, number, stays

    def __call__(self, *arguments: object, **named: object) -> object:
        self.calls += 1
        if self.calls == self._at or (self._stays and self.calls > self._at):
            raise OSError(self._number, os.strerror(self._number))
        return self._function(*arguments, **named)


@pytest.fixture(scope="module")
def graphs() -> dict[str, str]:
    """Keep what the unbroken run came to."""
    return {}


def graphs_of(result: TuneResult) -> dict[str, str]:
    return {"recipe": result.report.chosen.recipe_id} | {
        role: result.report.model(role).graph_sha256 for role in ("int8", "qdq")
    }


@pytest.mark.parametrize(
    ("function", "at", "number", "stays"),
    [
        ("fsync", 1, errno.EIO, False),
        ("fsync", 9, errno.ENOSPC, True),
        ("fsync", 30, errno.EDQUOT, False),
        ("replace", 12, errno.EROFS, True),
    ],
)
def test_a_run_whose_files_are_refused_tells_it_and_goes_on_to_what_an_unbroken_one_gives(
    configured: Configured,
    colour_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    graphs: dict[str, str],
    function: str,
    at: int,
    number: int,
    stays: bool,
) -> None:
    config, run = configured({"tuning.engine": "native"}), tmp_path / "out"
    begun = TuneRequest(config, input_model=colour_model, output_model=run, workers=1)
    if not graphs:
        graphs |= graphs_of(tune(begun))
        shutil.rmtree(run)
    refusing = Refusing(getattr(os, function), at, number, stays=stays)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, refusing)
        with pytest.raises(StorageError) as caught:
            tune(begun)
    assert refusing.calls >= at
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(tmp_path))
    assert not (run / "report.json").exists()
    assert not list(run.rglob("*.part"))
    journal = run / "trials.jsonl"
    kept = journal.read_bytes() if journal.is_file() else b""
    again = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1) if kept else begun)
    assert again.exit_code is ExitCode.DONE
    assert journal.read_bytes().startswith(kept)
    assert graphs_of(again) == graphs


def test_a_folder_that_is_removed_while_the_report_is_drawn_is_not_made_anew(
    configured: Configured, colour_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "out"

    def drawn(_: object) -> str:
        assert list(run.glob("*.onnx"))
        shutil.rmtree(run)
        return "a page"

    monkeypatch.setattr("quantize.run.tune.html", drawn)
    with pytest.raises(RunError, match="removed or replaced while the run was at work"):
        tune(TuneRequest(configured({"tuning.engine": "ort"}), input_model=colour_model, output_model=run, workers=1))
    assert not run.exists()
