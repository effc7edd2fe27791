from __future__ import annotations

from pathlib import Path

import pytest

from quantize.cli.configuration import configuration
from quantize.cli.main import main
from quantize.config import RunConfig, load_config
from quantize.errors import ExitCode


def test_the_demonstration_starts_from_the_example_file() -> None:
    assert configuration(None, {}, run=None, demonstration=True).preprocessing.preset == "caffe"


def test_a_model_without_a_file_starts_from_the_defaults() -> None:
    assert configuration(None, {}, run=None, demonstration=False) == RunConfig()


def test_a_run_that_is_resumed_or_replayed_keeps_its_settings(tmp_path: Path) -> None:
    config = load_config(None, {"tuning.random_seed": "5"})
    (tmp_path / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    (tmp_path / "report.json").touch()
    assert configuration(None, {}, run=tmp_path, demonstration=True) == config
    assert configuration(None, {}, run=tmp_path / "report.json", demonstration=True) == config


def test_a_named_file_comes_before_the_run_s(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("tuning: {random_seed: 5}\n", encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text("tuning: {random_seed: 6}\n", encoding="utf-8")
    assert configuration(other, {}, run=tmp_path, demonstration=False).tuning.random_seed == 6


def test_a_benchmark_of_nothing_needs_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["benchmark"]) is ExitCode.USER
    assert capsys.readouterr().err.startswith("error: runs: no run to benchmark")
