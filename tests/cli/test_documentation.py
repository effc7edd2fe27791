from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from quantize.cli.command_line import Words
from quantize.cli.main import parse

_ROOT = Path(__file__).resolve().parents[2]
_DOCS = _ROOT / "docs"
_PAGES = ("README.md", *sorted(str(page.relative_to(_ROOT)) for page in _DOCS.rglob("*.md")))


def _commands() -> Iterator[tuple[str, str]]:
    """Yield (file, command line) for each line of code that begins with `quantize`."""
    for page in _PAGES:
        text = (_ROOT / page).read_text(encoding="utf-8")
        fenced = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.S) for line in _whole_lines(block)]
        indented = [line[4:] for line in _whole_lines(text) if line.startswith("    quantize ")]
        for line in (*fenced, *indented):
            if line.startswith("quantize "):
                yield page, line


def _whole_lines(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


def _text(page: str) -> str:
    return (_ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "line"), list(_commands()))
def test_every_command_in_the_documentation_is_one(page: str, line: str) -> None:
    _, *words = shlex.split(line.replace("|", " | "), comments=True)
    words = words[: words.index("|")] if "|" in words else words
    words = ["some" if word == "…" and before.startswith("--") else word for before, word in pairwise(["", *words])]
    words = [word for word in words if word != "…"]  # "and so on"
    assert callable(parse(words))


@pytest.mark.parametrize("page", _PAGES)
def test_every_flag_and_link_in_the_documentation_is_there(
    page: str, commands: Mapping[str, Words], pytestconfig: pytest.Config
) -> None:
    lines = _text(page).splitlines()
    known = {flag for words in commands.values() for flag in words.flags} | {"--help", "--key"}
    known |= {f"--no_{flag[2:]}" for words in commands.values() for flag in words.switches}
    known |= {f"--{name.replace('_', '-')}" for name in vars(pytestconfig.option) if name.startswith("quantize_")}
    for line in lines:
        script = re.search(r"python (benchmarks/\w+\.py)", line)
        of_script = set() if script is None else set(re.findall(r'"(--\w+)"', _text(script[1])))
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z_0-9-]*", re.split("pip |dask worker ", line)[0]))
        assert flags <= known | of_script, line
    for link in re.findall(r"\]\(([^)#:]+)\)", "\n".join(lines)):
        assert ((_ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("page", _PAGES)
def test_every_file_of_the_repository_in_the_documentation_is_there(page: str) -> None:
    text = _text(page)
    named = re.findall(r"(?<![\w/.-])((?:quantize|tests|benchmarks|scripts|configs|docs)/[\w/.*-]*\w)", text)
    for place in named:
        assert any(_ROOT.glob(place.replace("NAME", "*"))), place
    for place in re.findall(r"`(\w+/[\w/]*\.py)`", text):  # of the package, its name goes without saying
        assert any(any(top.glob(place.replace("NAME", "*"))) for top in (_ROOT, _ROOT / "quantize")), place


@pytest.mark.parametrize("page", _PAGES)
def test_every_module_and_name_of_the_package_in_the_documentation_is_there(page: str) -> None:
    for name in re.findall(r"(?<![\w./-])(quantize(?:\.[A-Za-z]\w*)+)", _text(page)):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute) or importlib.import_module(name), name


@pytest.mark.parametrize("page", _PAGES)
def test_every_target_of_make_in_the_documentation_is_there(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", _text("Makefile"), re.M))
    assert set(re.findall(r"(?:`|^ {4})make ([\w-]+)", _text(page), re.M)) <= targets
