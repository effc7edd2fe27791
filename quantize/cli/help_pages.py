"""Help as files, which print before anything else is loaded: a shell asks for them often, and while one types.

They are drawn from the commands' signatures by ``QUANTIZE_UPDATE_GOLDEN=1 pytest tests/cli/test_help.py``, which
otherwise checks that each is what its command would print.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

PAGES = Path(__file__).with_name("help")
_FLAGS = ("--help", "-h")


def page_asked_for(words: Sequence[str]) -> str | None:
    """Return the page that a command line asks for; None where it asks for something else.

    A command that is not known has none: what reads command lines tells which one may have been meant.

    Args:
        words: The command line, without the program's name. Without any word it asks for help, too.
    """
    if "_QUANTIZE_COMPLETE" in os.environ:  # a shell asks for completions
        return None
    before = list(takewhile(lambda word: word != "--", words))
    if words and not any(flag in before for flag in _FLAGS):
        return None
    known = {page.stem for page in PAGES.glob("*.txt")}
    name = "quantize"
    for word in before:
        if f"{name}-{word}" in known:
            name = f"{name}-{word}"
        elif not word.startswith("-"):
            if any(page.startswith(f"{name}-") for page in known):
                return None
            break
    return (PAGES / f"{name}.txt").read_text(encoding="utf-8") if name in known else None
