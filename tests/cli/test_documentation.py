from __future__ import annotations

import argparse
import importlib
import re
import runpy
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from quantize.cli.command_line import Words
from quantize.cli.main import parse
from tests.cli.documentation import PAGES, ROOT, Documented, benchmarks, documented, mentioned, text

_COMMANDS = [command for page in PAGES for command in (*documented(page), *mentioned(page))]
_STANDS_FOR = {"KIND": "report"}
_BENCHMARKS = [command for page in PAGES for command in benchmarks(page)]


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: f"{command.page}: {command.line}")
def test_every_command_in_the_documentation_is_one(command: Documented) -> None:
    assert callable(parse([_STANDS_FOR.get(word, word) for word in command.words]))


def test_every_command_has_a_line_on_its_page(commands: Mapping[str, Words]) -> None:
    shown = {command.words for command in documented("docs/commands.md")}
    for name in commands:
        words = tuple(name.split()[1:])
        assert any(line[: len(words)] == words for line in shown), name


class _ParsedError(Exception):
    """Ends a program as soon as it has read its command line."""


@pytest.mark.parametrize("command", _BENCHMARKS, ids=lambda command: f"{command.page}: {command.line}")
def test_every_benchmark_in_the_documentation_takes_its_words(
    command: Documented, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, *words = command.words
    read = argparse.ArgumentParser.parse_args

    def read_and_end(*given: Any, **named: Any) -> None:
        read(*given, **named)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read_and_end)
    monkeypatch.setattr(sys, "argv", [program, *words])
    monkeypatch.syspath_prepend(str((ROOT / program).parent))
    with pytest.raises(_ParsedError):
        runpy.run_path(str(ROOT / program), run_name="__main__")


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_and_link_in_the_documentation_is_there(
    page: str, commands: Mapping[str, Words], pytestconfig: pytest.Config
) -> None:
    lines = text(page).splitlines()
    known = {flag for words in commands.values() for flag in words.flags} | {"--help", "--key"}
    known |= {f"--no_{flag[2:]}" for words in commands.values() for flag in words.switches}
    known |= {f"--{name.replace('_', '-')}" for name in vars(pytestconfig.option) if name.startswith("quantize_")}
    for line in lines:
        script = re.search(r"(benchmarks/\w+\.py)", line)
        of_script = set() if script is None else set(re.findall(r'"(--\w+)"', text(script[1])))
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z_0-9-]*", re.split("pip |dask worker ", line)[0]))
        assert flags <= known | of_script, line


@pytest.mark.parametrize("page", PAGES)
def test_every_link_in_the_documentation_leads_to_a_file_and_a_heading(page: str) -> None:
    for link, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", text(page)):
        linked = (ROOT / page).parent / link if link else ROOT / page
        assert linked.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.M)
            assert anchor in {_anchor(heading) for heading in headings}, f"{link}#{anchor}"


def _anchor(heading: str) -> str:
    """Return what GitHub and MkDocs both make of a heading of letters, digits and simple punctuation."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def test_the_site_names_every_page_once() -> None:
    def pages(entries: Iterable[Any]) -> Iterator[str]:
        for entry in entries:
            (value,) = entry.values()
            yield from [value] if isinstance(value, str) else pages(value)

    named = list(pages(yaml.safe_load(text("mkdocs.yml"))["nav"]))
    of_repository = {"README.md": "index.md"}
    assert sorted(named) == sorted(
        [*(of_repository.get(page, page.removeprefix("docs/")) for page in PAGES), "CHANGELOG.md"]
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_repository_in_the_documentation_is_there(page: str) -> None:
    written = text(page)
    named = re.findall(r"(?<![\w/.-])((?:quantize|tests|benchmarks|scripts|configs|docs)/[\w/.*-]*\w)", written)
    for place in named:
        assert any(ROOT.glob(place.replace("NAME", "*"))), place
    for place in re.findall(r"`(\w+/[\w/]*\.py)`", written):  # of the package, its name goes without saying
        assert any(any(top.glob(place.replace("NAME", "*"))) for top in (ROOT, ROOT / "quantize")), place


@pytest.mark.parametrize("page", PAGES)
def test_every_module_and_name_of_the_package_in_the_documentation_is_there(page: str) -> None:
    for name in re.findall(r"(?<![\w./-])(quantize(?:\.[A-Za-z]\w*)+)", text(page)):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute) or importlib.import_module(name), name


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_in_the_documentation_is_there(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", text("Makefile"), re.M))
    assert set(re.findall(r"(?:`|^ {4})make ([\w-]+)", text(page), re.M)) <= targets
