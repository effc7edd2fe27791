from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import pytest
import typer

from quantize.cli.command_line import Commands, Words
from quantize.cli.main import app, parse
from quantize.cli.options import Argument, Option
from quantize.errors import ConfigError, ExitCode


def _words(command: str, *words: str) -> list[str]:
    """Return the arguments of a real command, each in one of its forms."""
    return Words(typer.main.get_command(app).built(command), f"quantize {command}").normalized(words)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "words",
    [
        ["--input_model=a.onnx"],
        ["--input-model=a.onnx"],
        ["--input_model", "a.onnx"],
        ["--input-model", "a.onnx"],
    ],
)
def test_equals_and_space_underscores_and_dashes_are_the_same(words: list[str]) -> None:
    assert _words("tune", *words) == ["--input_model=a.onnx"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--in_evaluation"], ["--in_evaluation=true"]),
        (["--in-evaluation", "no"], ["--in_evaluation=false"]),
        (["--in_evaluation=ON"], ["--in_evaluation=true"]),
        (["--no-in-evaluation"], ["--in_evaluation=false"]),
        (["--in_evaluation", "--overwrite"], ["--in_evaluation=true", "--overwrite"]),
        (["--overwrite"], ["--overwrite"]),
        (["--overwrite=true"], ["--overwrite"]),
        (["--overwrite=false"], []),
        (["--mean", "-1,2,3"], ["--mean=-1,2,3"]),
        (["--input_model=a=b"], ["--input_model=a=b"]),
        (["--input_model", "-"], ["--input_model=-"]),
        (["--relative", "1", "--relative", "2"], ["--relative=1", "--relative=2"]),
        (["-h"], ["--help"]),
    ],
)
def test_flags_come_out_in_one_form(words: list[str], expected: list[str]) -> None:
    assert _words("tune", *words) == expected


def test_values_keep_their_dashes_and_underscores() -> None:
    assert _words("tune", "--input-model=my-net_1.onnx") == ["--input_model=my-net_1.onnx"]


def test_plain_arguments_come_before_or_after_flags() -> None:
    expected = ["--output=x", "--", "squeezenet1.0-12"]
    assert _words("fetch", "squeezenet1.0-12", "--output", "x") == expected
    assert _words("fetch", "--output", "x", "squeezenet1.0-12") == expected


def test_what_follows_two_dashes_is_no_flag() -> None:
    assert _words("predict", "a.onnx", "--", "--strange--name.jpg") == ["--", "a.onnx", "--strange--name.jpg"]


def test_the_last_argument_repeats_where_it_may() -> None:
    assert _words("predict", "a.onnx", "1.jpg", "2.jpg")[-2:] == ["1.jpg", "2.jpg"]


def test_help_is_given_whatever_else_is_there() -> None:
    assert _words("fetch", "a", "b", "--help")[0] == "--help"


def test_a_flag_that_belongs_to_a_command_is_pointed_there(commands: Mapping[str, Words]) -> None:
    with pytest.raises(ConfigError) as caught:
        commands["quantize"].normalized(["--relative=1"])
    assert caught.value.advice == "did you mean `quantize tune --relative`?"


def test_a_command_of_a_group_is_looked_up_in_it() -> None:
    with pytest.raises(ConfigError, match="unknown command 'chek'") as caught:
        parse(["data", "chek"])
    assert caught.value.advice == "did you mean `quantize data check`?"


def test_the_help_of_a_group_builds_no_command_below_it() -> None:
    def broken(value: Annotated[NotAKind, Option("No kind has this name.")]) -> ExitCode:  # type: ignore[name-defined]  # noqa: F821
        """Cannot be built."""

    class Group(Commands):
        functions = {"broken": broken}  # noqa: RUF012 - read only

    group = Group(name="group")
    assert group.get_command(None, "broken").help == "Cannot be built."
    with pytest.raises(NameError, match="NotAKind"):
        group.built("broken")


def test_a_command_is_read_before_it_runs() -> None:
    ran: list[str] = []

    def run(word: Annotated[str, Argument("Any.", "WORD")]) -> ExitCode:
        """Run."""
        ran.append(word)
        return ExitCode.DONE

    class Group(Commands):
        functions = {"run": run}  # noqa: RUF012 - read only

    ready = Group(name="group").main(["run", "now"], standalone_mode=False)
    assert ran == []
    assert ready() is ExitCode.DONE
    assert ran == ["now"]
