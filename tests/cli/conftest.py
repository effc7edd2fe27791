from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer

from quantize.cli.command_line import Commands, Words
from quantize.cli.main import app


def _words(command: Any, name: str) -> Iterator[Words]:
    yield Words(command, name)
    if isinstance(command, Commands):
        for below in command.functions:
            yield from _words(command.built(below), f"{name} {below}")


@pytest.fixture(scope="session")
def commands() -> Mapping[str, Words]:
    """Return what each command takes, by the words that call it, such as ``quantize data check``."""
    return {words.name: words for words in _words(typer.main.get_command(app), "quantize")}
