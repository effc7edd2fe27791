"""Hostile names in every text of a report, drawn in every form."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from quantize.gate.drawings import check_markdown, check_text, junit, workflow_commands
from quantize.gate.result import Difference, GateResult, Line
from quantize.packages.card import model_card
from quantize.report.html import html
from quantize.report.lines import WIDTH
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.text import summary
from quantize.report.trend import comparison_html
from quantize.report.wording import one_line

_FIXTURE = Path(__file__).parent / "fixtures" / "report-v1.json"

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "two\nlines\r\nand # a heading",
    "| a | table | `code` **bold** [link](javascript:alert(1)) ![x](http://x/y.png)",
    "]]> <!-- --> &lt; &#x3c;script&#x3e; {{ 7*7 }} {% raw %}",
    "\x1b[31mred\x1b[0m \x00 \x07 \u202etxt.exe \ud7ff \ufffe",
    "$x^2$ \\frac{a}{b} %n",
    "::error title=x::y",
    "a" * 10_000,
]


def _with_names(name: str) -> RunReport:
    """Return the recorded run with ``name`` wherever a user's, a model's or a data set's text stands."""
    values: dict[str, Any] = json.loads(_FIXTURE.read_text("utf-8"))
    values["source"].update(path=f"dir/{name}.onnx", catalog=name)
    values["source"]["published"][0]["source"] = name
    values["data"].update(path=name, labels=name, notes=[name], skipped=[{"id": name, "reason": name}])
    values["notes"] = [name]
    values["provenance"]["command"] = ["quantize", "tune", name]
    values["provenance"]["versions"][name] = name
    values["provenance"].update(data_fingerprint=name, calibration_fingerprint=name)
    values["source"].update(sha256=name, weights_sha256=name)
    values["measurement"]["environment"].update(cpu_model=name, governor=name)
    values["verdict"]["stopped_because"] = name
    values["trials"].append({**values["trials"][0], "index": 1, "recipe_id": name, "graph_sha256": None})
    values["trials"][1]["failure"] = {"stage": name, "error": name}
    values["rewrites"][0].update(name=name, reason=name)
    for operator in values["profile"]["baseline"]["operators"][:2]:
        operator.update(name=name, origin=name, op_type=name, origin_op=name)
    flip = values["flips"]["shown"][0]
    flip.update(id=name, label_name=name, baseline_name=name, candidate_name=name)
    values["flips"]["shown"][1].update(thumbnail=name)
    for model in values["models"]:
        model["file"] = f"{name}.onnx"
    return RunReport.model_validate(values)


def _result(name: str) -> GateResult:
    line = Line(name=f"int8.{name}", title=name, baseline=name, found=name, allowed=name, verdict="fail", note=name)
    return GateResult(
        run=name,
        lines=(line,),
        differences=(Difference(what=name, baseline=name, found=name),),
        notes=(name,),
    )


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


_UNSEEN = {"\x1b", "\x00", "\x07", "\u202e"}
_ALLOWED = {"h1", "h2", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "em", "strong"}


@pytest.fixture(scope="module")
def usual_tags(report: RunReport) -> tuple[set[str], set[str]]:
    page = _Tags(html(report))
    return page.tags | {"h3", "ul", "li"}, page.attributes


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_page_gets_no_tag_or_attribute_from_a_name_and_its_charts_stay_xml(
    name: str, usual_tags: tuple[set[str], set[str]]
) -> None:
    text = html(_with_names(name))
    page = _Tags(text)
    assert page.tags <= usual_tags[0]
    assert page.attributes <= usual_tags[1]
    assert not _UNSEEN & set(text)
    assert "a" * 1000 not in text
    drawn = re.findall(r"<svg.*?</svg>", text, flags=re.S)
    assert len(drawn) == 4
    for chart in drawn:
        ElementTree.fromstring(chart)
    assert "7*7" in text or "7*7" not in name


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_markdown_shows_a_name_as_text(name: str) -> None:
    for text in (markdown(_with_names(name)), check_markdown(_result(name))):
        page = _Tags(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
        assert page.tags <= _ALLOWED
        assert page.attributes <= {"style"}
        assert not _UNSEEN & set(text)


@pytest.mark.parametrize("name", [*HOSTILE, "```\n# heading", "x](javascript:alert(1))"], ids=range(len(HOSTILE) + 2))
def test_a_card_shows_a_name_as_text_and_links_to_the_files_beside_it(name: str) -> None:
    text = MarkdownIt("commonmark", {"html": True}).enable("table").render(model_card(_with_names(name), name, name))
    page = _Tags(text)
    assert page.tags <= _ALLOWED | {"blockquote", "pre", "code", "a"}
    assert page.attributes <= {"style", "href"}
    assert text.count("<h1>") == 1
    assert text.count("<pre>") == 1
    assert not _UNSEEN & set(text)
    links = re.findall('href="(.*?)"', text)
    assert len(links) == 4
    assert all(re.fullmatch(r"[^:/]+\.(onnx|tar\.gz)", link) for link in links)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_junit_stays_xml_with_one_case(name: str) -> None:
    root = ElementTree.fromstring(junit(_result(name)).encode("utf-8"))
    assert len(root.findall(".//testcase")) == 1
    assert len(root.findall(".//failure")) == 1


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_an_annotation_stays_one_command(name: str) -> None:
    (command,) = workflow_commands(_result(name))
    assert "\n" not in command
    assert "\r" not in command
    assert command.startswith("::error title=quantize%3A ")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_terminal_gets_lines_of_bounded_width(name: str) -> None:
    for text in (summary(_with_names(name)), check_text(_result(name))):
        lines = text.splitlines()
        paths = [line for line in lines if line.endswith(".onnx") or "characters)" in line]  # not broken: to be copied
        assert max(len(line) for line in lines if line not in paths) <= WIDTH
        assert max(map(len, lines)) < 500
        assert not _UNSEEN & set(text)
    assert "\n" not in one_line(name)
    assert len(one_line(name)) < 500


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_comparison_of_hostile_runs_is_drawn(name: str, report: RunReport) -> None:
    drawn = comparison_html([(name, report), ("b", _with_names(name))])
    assert drawn.count("<script") == 1  # the page's own
    assert not _UNSEEN & set(drawn)
