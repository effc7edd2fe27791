from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

import pytest

from quantize.cli.command_line import Commands, Words
from quantize.cli.help_pages import PAGES, page_asked_for
from quantize.cli.main import COMMANDS, main, parse
from quantize.config.schema import settings
from quantize.errors import ExitCode


def _names(commands: Mapping[str, object], before: str = "quantize") -> Iterator[str]:
    yield before
    for name, command in commands.items():
        yield from _names(command.functions if isinstance(command, Commands) else {}, f"{before} {name}")


_NAMES = list(_names(COMMANDS))


@pytest.mark.parametrize("name", _NAMES)
def test_the_page_of_a_command_is_what_it_would_print_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """QUANTIZE_UPDATE_GOLDEN=1 draws the pages."""
    _, *words = name.split()
    parse([*words, "--help"])()
    drawn = capsys.readouterr().out
    page = PAGES / f"{name.replace(' ', '-')}.txt"
    if os.environ.get("QUANTIZE_UPDATE_GOLDEN"):
        page.write_text(drawn, encoding="utf-8")
    assert main([*words, "--help"]) is ExitCode.DONE
    out, err = capsys.readouterr()
    assert out == page.read_text(encoding="utf-8") == drawn
    assert err == ""


def test_every_page_is_that_of_a_command() -> None:
    assert {page.stem for page in PAGES.iterdir()} == {name.replace(" ", "-") for name in _NAMES}


@pytest.mark.parametrize("name", _NAMES)
def test_help_fits_eighty_columns_names_no_types_and_no_panel_twice(name: str) -> None:
    out = (PAGES / f"{name.replace(' ', '-')}.txt").read_text(encoding="utf-8")
    assert out.startswith(f"Usage: {name} ")
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r"<\w+>|\[default:|…", out)
    panels = re.findall(r"^([A-Z][A-Za-z ]+):$", out, re.M)
    assert panels
    assert len(panels) == len(set(panels))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("", "quantize"),
        ("-h", "quantize"),
        ("--help tune", "quantize-tune"),
        ("tune --config --help", "quantize-tune"),
        ("data --help", "quantize-data"),
        ("data check DATA --help", "quantize-data-check"),
        ("nosuch --help", None),
        ("data nosuch --help", None),
        ("tune", None),
        ("predict model.onnx -- --help", None),
        ("--version", None),
    ],
)
def test_help_is_found_wherever_it_is_asked_for(line: str, name: str | None) -> None:
    page = page_asked_for(line.split())
    assert page == (None if name is None else (PAGES / f"{name}.txt").read_text(encoding="utf-8"))


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
    assert commands["quantize tune"].switches == {
        "--in_evaluation",
        "--pictures",
        "--reduce_range",
        "--requantize",
        "--quick",
    }
    assert {"--overwrite", "--skip_unreadable"} <= commands["quantize tune"].bare


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) is ExitCode.DONE
    assert capsys.readouterr().out.startswith("quantize ")
