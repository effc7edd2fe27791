from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from quantize.cli.command_line import Words
from quantize.cli.main import COMMANDS, main
from quantize.config.schema import settings
from quantize.errors import ExitCode


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.mark.parametrize("words", [[], ["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_fits_eighty_columns(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) is ExitCode.DONE
    out, err = capsys.readouterr()
    assert "Usage: quantize" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    assert err == ""


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_names_no_types_of_python_and_no_panel_twice(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(words)
    out = capsys.readouterr().out
    assert not re.search(r"<\w+>", out)
    assert "[default:" not in out
    panels = re.findall(r"^[╭+][─-]+ ([A-Za-z ]+) [─-]", out, re.M)
    assert panels
    assert len(panels) == len(set(panels))


def test_every_setting_has_a_flag_of_tune_and_shows_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tune", "--help"])
    out = capsys.readouterr().out
    for setting in settings():
        assert f"--{setting.flag} " in out
    assert "1978" in out
    assert "--relative" in out


def test_the_classic_flags_are_there(commands: Mapping[str, Words]) -> None:
    tune = {"--input_model", "--config", "--data_path", "--label_path", "--output_model", "--resume", "--replay"}
    assert tune <= commands["quantize tune"].valued
    bench = {"--input_model", "--baseline_model", "--mode", "--config", "--data_path", "--label_path", "--output_dir"}
    assert bench <= commands["quantize benchmark"].valued
    assert commands["quantize tune"].switches == {"--in_evaluation", "--pictures", "--reduce_range", "--requantize"}
    assert {"--overwrite", "--skip_unreadable"} <= commands["quantize tune"].bare


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) is ExitCode.DONE
    assert capsys.readouterr().out.startswith("quantize ")
