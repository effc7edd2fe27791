from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from quantize.cli.command_line import Commands
from quantize.cli.options import Argument, Option, settings_of, takes_settings
from quantize.config.schema import settings
from quantize.config.values import Count, Counts, Fraction, Place
from quantize.errors import ConfigError, ExitCode


def _read(command: Callable[..., ExitCode], *words: str) -> None:
    """Parse a command's words, and run it."""

    class Group(Commands):
        functions = {"command": command}  # noqa: RUF012 - read only

    Group(name="group").main(["command", *words], standalone_mode=False)()


def test_values_have_the_types_of_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    seen: dict[str, Any] = {}

    def command(
        place: Annotated[Place, Argument("Where.", "PLACE")],
        others: Annotated[list[Place], Argument("More.", "OTHER")],
        count: Annotated[Count, Option("How many.")] = 300,
        sizes: Annotated[Counts | None, Option("Sizes.")] = None,
        share: Annotated[Fraction, Option("How much.")] = 0.5,
        mode: Annotated[Literal["fast", "slow"], Option("How.")] = "fast",
        quiet: Annotated[bool, Option("Say nothing.")] = False,
    ) -> ExitCode:
        """Take values."""
        seen.update(locals())
        return ExitCode.DONE

    _read(command, "~/a", "b", "c", "--sizes", "1,4", "--share=2%", "--quiet")
    assert seen["place"] == Path("/home/someone/a")
    assert seen["others"] == [Path("b"), Path("c")]
    assert (seen["count"], seen["sizes"], seen["share"]) == (300, (1, 4), 0.02)
    assert (seen["mode"], seen["quiet"]) == ("fast", True)


def test_a_stated_default_is_read_as_if_it_were_given() -> None:
    seen: list[float] = []

    def command(*, share: Annotated[Fraction, Option("How much.", default="2%")]) -> ExitCode:
        """Take a fraction."""
        seen.append(share)
        return ExitCode.DONE

    _read(command)
    _read(command, "--share", "0.5")
    assert seen == [0.02, 0.5]


@pytest.mark.parametrize(
    ("words", "where"), [(["none", "--count", "many"], "--count"), (["~nobody-of-this-name/x"], "PLACE")]
)
def test_a_wrong_value_names_its_flag_or_argument(words: list[str], where: str) -> None:
    def command(
        place: Annotated[Place, Argument("Where.", "PLACE")], count: Annotated[Count | None, Option("How many.")] = None
    ) -> ExitCode:
        """Take values."""
        raise AssertionError

    with pytest.raises(ConfigError) as caught:
        _read(command, *words)
    assert caught.value.where == where


def test_a_misspelt_choice_is_answered_with_the_nearest() -> None:
    def command(mode: Annotated[Literal["fast", "slow"], Option("How.")] = "fast") -> ExitCode:
        """Take a choice."""
        raise AssertionError

    with pytest.raises(ConfigError) as caught:
        _read(command, "--mode", "fats")
    assert (caught.value.found, caught.value.advice) == ("the text 'fats'", "did you mean `fast`?")


def test_settings_come_as_text_by_their_key() -> None:
    seen: list[Mapping[str, object]] = []

    @takes_settings("preprocessing", "tuning.random_seed")
    def command(*, overrides: Mapping[str, object]) -> ExitCode:
        """Take settings."""
        seen.append(overrides)
        return ExitCode.DONE

    _read(command, "--resize", "224", "--random-seed=7")
    given = {key: value for key, value in seen[0].items() if value is not None}
    assert given == {"preprocessing.resize": "224", "tuning.random_seed": "7"}
    assert "preprocessing.preset" in seen[0]


def test_without_a_block_named_all_settings_are_taken() -> None:
    def command(*, overrides: Mapping[str, object]) -> ExitCode:
        """Take settings."""
        raise AssertionError

    assert settings_of(command) is None
    assert settings_of(takes_settings()(command)) == settings()
