"""The commands in README and docs, as a reader finds them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
)
_SCRIPTS = {"run_tuning.sh": "tune", "run_benchmark.sh": "benchmark"}
_CALLED = re.compile(r"(?:bash (?P<script>run_\w+\.sh)|quantize)(?= |$)")
_NAMED = {"--data_path": "DATA", "--label_path": "LABELS.txt"}


@dataclass(frozen=True)
class Documented:
    """A command line of a page.

    Attributes:
        page: The page, from the repository's root.
        line: The line, with its continuations.
        words: The words behind ``quantize``: what stands for "and so on" is left out, or named.
    """

    page: str
    line: str
    words: tuple[str, ...]


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def documented(page: str) -> Iterator[Documented]:
    """Yield every line of code that calls quantize, itself or by one of the two scripts."""
    for line in _lines_of_code(page):
        called = _CALLED.match(line)
        if called is not None:
            before = [_SCRIPTS[called["script"]]] if called["script"] else []
            yield Documented(page, line, tuple(before + _words(line[called.end() :])))


def mentioned(page: str) -> Iterator[Documented]:
    """Yield every command within a sentence that has more than its name, such as `quantize report RUN`.

    What has no command, such as `quantize --install-completion`, is left out: parsing it would do it.
    """
    for line in re.findall(r"`(quantize [^`]+)`", text(page).replace("\n", " ")):
        words = tuple(_words(line.removeprefix("quantize")))
        if not words[0].startswith("-") and any(not word.isidentifier() or not word.islower() for word in words):
            yield Documented(page, line, words)


def benchmarks(page: str) -> Iterator[Documented]:
    """Yield every line of code that calls a program under ``benchmarks`` that has flags: the program, and its words."""
    for line in _lines_of_code(page):
        called = re.search(r"python (?:-m )?(benchmarks[/.](?!held_to_avx2)\w+)(?:\.py)?(?= |$)", line)
        if called is not None:
            words = [word.strip("[]") for word in _words(line[called.end() :]) if word != "..."]
            program = called[1].replace(".", "/") + ".py"
            if "ArgumentParser" in text(program):
                yield Documented(page, line, (program, *words))


def _lines_of_code(page: str) -> Iterator[str]:
    whole = text(page)
    fenced = [line for block in re.findall(r"```\w*\n(.*?)```", whole, re.S) for line in _whole_lines(block)]
    indented = [line[4:] for line in _whole_lines(whole) if line.startswith("    ")]
    yield from (*fenced, *indented)


def _words(line: str) -> list[str]:
    words = shlex.split(line.replace("|", " | "), comments=True)
    words = words[: words.index("|")] if "|" in words else words
    named = [_NAMED.get(before, "FILE") if before.startswith("--") else "…" for before in ["", *words]]
    words = [name if word == "…" else word for name, word in zip(named, words, strict=False)]
    words = [re.sub("(--[a-z_]+)=…", lambda flag: f"{flag[1]}={_NAMED.get(flag[1], 'FILE')}", word) for word in words]
    words = [word.removesuffix("…") for word in words]
    return [word for word in words if word]


def _whole_lines(block: str) -> list[str]:
    return block.replace("\\\n", " ").splitlines()
