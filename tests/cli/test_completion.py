"""What a shell offers for words that are not all there yet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from quantize.cli.command_line import Words


@pytest.mark.parametrize(
    ("shell", "line", "offered"),
    [
        ("bash", "quantize tu", ["tune"]),
        ("zsh", "quantize tu", ["tune"]),
        ("fish", "quantize tu", ["tune"]),
        ("bash", "quantize data c", ["check"]),
        ("bash", "quantize tune --rel", ["--relative"]),
        ("bash", "quantize tune --placement ", ["measured", "all-int8"]),
        ("bash", "quantize benchmark --mode a", ["accuracy"]),
        ("bash", "quantize nosuch x", []),
        ("bash", "quantize tune --nosuch 5 --eng", ["--engine"]),
    ],
)
def test_commands_flags_and_their_values_complete(shell: str, line: str, offered: list[str]) -> None:
    asked = {"_QUANTIZE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line, "COMP_WORDS": line}
    asked |= {"COMP_CWORD": str(len(line.split(" ")) - 1), "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    command = [sys.executable, "-m", "quantize"]
    done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert (done.stdout.split() == offered) if shell == "bash" else all(word in done.stdout for word in offered)


@pytest.mark.parametrize("flag", ["--install-completion", "--show-completion"])
def test_the_flags_that_give_a_shell_its_script_are_taken(flag: str, commands: Mapping[str, Words]) -> None:
    assert commands["quantize"].normalized([flag]) == [flag]
