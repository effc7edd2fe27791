from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from quantize.cli import terminal
from quantize.cli.terminal import (
    harmless,
    print_command,
    print_error,
    print_json,
    print_line,
    print_notes,
    print_result,
)
from quantize.errors import ConfigError


class _Terminal(io.StringIO):
    """A stream that a person reads."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    stream = _Terminal()
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(terminal, "STDERR", Console(file=stream, highlight=False, markup=False, width=80))
    return stream


def _error() -> ConfigError:
    return ConfigError(
        "unknown key",
        where="run.yaml:3:1",
        expected="one of " + ", ".join(f"key_number_{i}" for i in range(12)),
        advice="did you mean `key_number_1`?",
    )


def test_an_error_at_a_terminal_fits_its_width_under_its_labels(tty: _Terminal) -> None:
    print_error(_error())
    lines = Text.from_ansi(tty.getvalue()).plain.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "error: run.yaml:3:1: unknown key"
    assert lines[2].startswith("            key_number")


def test_no_color_is_respected(tty: _Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(terminal, "STDERR", Console(file=tty, highlight=False, markup=False, width=80))
    print_error(_error())
    assert "\x1b[1merror: \x1b[0m" in tty.getvalue()  # bold is no colour
    assert "31m" not in tty.getvalue()


def test_colours_are_used_at_a_terminal(tty: _Terminal) -> None:
    print_error(_error())
    assert tty.getvalue().startswith("\x1b[1;31merror: \x1b[0m")


def test_a_log_gets_each_fact_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(_error())
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 3
    assert "\x1b" not in err


def test_brackets_and_colons_in_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("[red]x[/red] :smile:")
    print_notes(["[bold]y"])
    assert capsys.readouterr().err == "[red]x[/red] :smile:\nnote: [bold]y\n"


def test_control_characters_are_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(ConfigError("no such file", where="\x1b[2Ja\u202egpj.\x07"))
    print_result("a\x1b]0;title\x07b")
    out, err = capsys.readouterr()
    assert err == "error: \\x1b[2Ja\\u202egpj.\\x07: no such file\n"
    assert out == "a\\x1b]0;title\\x07b\n"


def test_ordinary_text_is_left_alone() -> None:
    text = "Füße 1 µs\n\t≥ 99,5 %"
    assert harmless(text) == text


def test_results_go_to_stdout_and_nothing_else_does(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    print_result("result")
    print_line(str(tmp_path))
    out, err = capsys.readouterr()
    assert (out, err) == ("result\n", f"{tmp_path}\n")


@pytest.mark.parametrize(
    "line", ["::error::x", "  ::add-mask::x", "a ##[error]x", "##vso[task.setvariable]x", "##teamcity[x]"]
)
def test_no_text_is_a_command_of_a_ci(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(f"first\n{line}")
    print_line(line)
    out, err = capsys.readouterr()
    for text in (out, err):
        assert not any(part.lstrip().startswith("::") for part in text.splitlines())
        assert "##" not in text
    print_command("::error title=quantize::x")
    assert capsys.readouterr().out == "::error title=quantize::x\n"


def test_json_stays_faithful_and_holds_nothing_that_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"a": "\n::error::x ##[error]y \x9b\u202e\x7f\x1b", "b": "Füße"}
    print_json(json.dumps(value, indent=1, ensure_ascii=False))
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert "Füße" in out
    assert "##[" not in out
    assert not set("\x9b\u202e\x7f\x1b") & set(out)
