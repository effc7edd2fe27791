"""Where the inputs of a run lie when it is repeated from another folder, or after it was moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.config import RunConfig
from quantize.errors import RunError
from quantize.journal import Journal
from quantize.run.recorded_request import request_record, require_inputs, with_inputs_of
from quantize.run.request import RunRequest, TuneRequest
from tests.run.conftest import Configured


@pytest.fixture
def config(configured: Configured) -> RunConfig:
    return configured({"quantization.target": "avx2", "data.path": "val", "data.labels": "val.txt"})


@pytest.fixture
def here(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a run ``out`` and of its inputs, which were named relative to it; it is left then."""
    here = tmp_path / "here"
    (here / "val").mkdir(parents=True)
    for name in ("net.onnx", "val.txt"):
        (here / name).write_text("x")
    monkeypatch.chdir(here)
    request = _request(config, Path())
    Journal(here / "out" / "trials.jsonl", {}, resume=False, request=request_record(request, Path("out")))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return here


def _request(config: RunConfig, place: Path) -> RunRequest:
    return RunRequest(config, place / "net.onnx", place / "val", place / "val.txt", None, Path("out"))


def test_a_repetition_finds_the_inputs_of_a_run_from_any_folder(config: RunConfig, here: Path) -> None:
    found = with_inputs_of(here / "out", TuneRequest(config))
    assert (found.input_model, found.data_path, found.label_path) == (
        here / "net.onnx",
        here / "val",
        here / "val.txt",
    )


def test_a_repetition_in_the_runs_own_place_names_its_inputs_as_the_run_did(
    config: RunConfig, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    found = with_inputs_of(Path("out"), TuneRequest(config))
    assert (found.input_model, found.data_path, found.label_path) == (Path("net.onnx"), Path("val"), Path("val.txt"))


def test_inputs_that_a_repetition_names_win(configured: Configured, here: Path) -> None:
    request = TuneRequest(configured({"data.path": "mine", "data.labels": "val.txt"}), input_model=Path("mine.onnx"))
    found = with_inputs_of(here / "out", request)
    assert (found.input_model, found.data_path, found.label_path) == (Path("mine.onnx"), Path("mine"), here / "val.txt")


def test_a_pattern_is_found_again_as_a_path_is(configured: Configured, here: Path) -> None:
    config = configured({"quantization.target": "avx2", "data.path": "val/*.tar"})
    request = RunRequest(config, here / "net.onnx", here / "val" / "*.tar", None, None, Path("out"))
    Journal(here / "pattern" / "trials.jsonl", {}, resume=False, request=request_record(request, here / "pattern"))
    found = with_inputs_of(here / "pattern", TuneRequest(config))
    assert found.data_path == here / "val" / "*.tar"


def test_without_a_journal_a_repetition_is_as_it_was_asked(config: RunConfig, tmp_path: Path) -> None:
    request = TuneRequest(config)
    assert with_inputs_of(tmp_path, request) == request


@pytest.mark.parametrize(
    ("gone", "flag"), [("net.onnx", "--input_model"), ("val", "--data_path"), ("val.txt", "--label_path")]
)
def test_an_input_that_is_gone_asks_for_the_flag_that_names_it(
    gone: str, flag: str, config: RunConfig, here: Path
) -> None:
    require_inputs(_request(config, here))
    (here / gone).rename(here / "gone")
    with pytest.raises(RunError, match=f"{gone}(.|\n)*name where it lies now with {flag}"):
        require_inputs(_request(config, here))
