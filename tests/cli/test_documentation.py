from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from quantize.cli.command_line import Words
from quantize.cli.main import parse

_DOCS = Path(__file__).resolve().parents[2] / "docs"


def _commands() -> Iterator[tuple[str, str]]:
    """Yield (file, command line) for each line in a code block that begins with `quantize`."""
    for page in ("cpus.md", "imagenet.md", "tutorial.md", "zoo.md"):
        for block in re.findall(r"```\w*\n(.*?)```", (_DOCS / page).read_text(), re.S):
            yield from ((page, line) for line in block.splitlines() if line.startswith("quantize "))


@pytest.mark.parametrize(("page", "line"), list(_commands()))
def test_every_command_in_the_documentation_is_one(page: str, line: str) -> None:
    _, *words = shlex.split(line)
    assert callable(parse(words))


@pytest.mark.parametrize("page", ["cpus.md", "imagenet.md", "tutorial.md", "zoo.md"])
def test_every_flag_and_link_in_the_documentation_is_there(page: str, commands: Mapping[str, Words]) -> None:
    lines = (_DOCS / page).read_text().splitlines()
    text = "\n".join(line for line in lines if "python benchmarks/" not in line)
    known = {flag for words in commands.values() for flag in words.flags}
    assert set(re.findall(r"(?<![\w-])--[a-z_0-9]+", text)) <= known
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (_DOCS / link).exists(), link
