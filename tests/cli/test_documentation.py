from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from quantize.cli.arguments import normalized
from quantize.cli.main import app
from quantize.cli.syntax import syntax_of

_DOCS = Path(__file__).resolve().parents[2] / "docs"


def _commands() -> Iterator[tuple[str, str]]:
    """Yield (file, command line) for each line in a code block that begins with `quantize`."""
    for page in ("cpus.md", "imagenet.md", "tutorial.md", "zoo.md"):
        for block in re.findall(r"```\w*\n(.*?)```", (_DOCS / page).read_text(), re.S):
            yield from ((page, line) for line in block.splitlines() if line.startswith("quantize "))


@pytest.mark.parametrize(("page", "line"), list(_commands()))
def test_every_command_in_the_documentation_is_one(page: str, line: str) -> None:
    _, *words = shlex.split(line)
    syntax = syntax_of(typer.main.get_command(app), "quantize")
    assert normalized(words, syntax)[0] in syntax.commands


@pytest.mark.parametrize("page", ["cpus.md", "imagenet.md", "tutorial.md", "zoo.md"])
def test_every_flag_and_link_in_the_documentation_is_there(page: str) -> None:
    lines = (_DOCS / page).read_text().splitlines()
    text = "\n".join(line for line in lines if "python benchmarks/" not in line)
    syntax = syntax_of(typer.main.get_command(app), "quantize")
    groups = [
        syntax,
        *syntax.commands.values(),
        *(c for group in syntax.commands.values() for c in group.commands.values()),
    ]
    known = {flag for command in groups for flag in command.flags}
    assert set(re.findall(r"(?<![\w-])--[a-z_0-9]+", text)) <= known
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (_DOCS / link).exists(), link
