from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from quantize.report.charts import Point, pareto
from quantize.report.html import charts, html
from quantize.report.models import LayerErrorSection
from quantize.report.schema import RunReport
from quantize.report.trend import comparison_html

_VOID = {"meta", "link", "img", "br", "path", "use", "input"}


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(report: RunReport) -> str:
    return html(report)


def test_the_page_is_whole_and_loads_nothing(page: str) -> None:
    parsed = _Page(page)
    assert [address for address in parsed.addresses if not address.startswith(("#", "data:"))] == []
    assert parsed.tags.count("script") == 1
    script = page[page.index("<script>") + len("<script>") : page.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in page or f"script-src 'sha256-{digest}'" in page
    assert not re.search(r"url\((?!#)", page)


def test_the_verdict_comes_first_and_every_part_is_there(page: str, report: RunReport) -> None:
    body = page[page.index("<main>") :]
    assert body.index(report.verdict.text) < body.index("<table")
    for heading in (
        "Accuracy",
        "Speed and size",
        "Layers",
        "Charts",
        "Changed images",
        "Environment",
        "How to reproduce this",
    ):
        assert f"<h2>{heading}</h2>" in body
    assert "published" in body
    assert body.count('src="data:image/jpeg;base64,') == sum(flip.thumbnail is not None for flip in report.flips.shown)  # type: ignore[union-attr]


def test_every_chart_names_both_axes_and_a_unit(report: RunReport) -> None:
    layered = report.model_copy(
        update={"layers": (LayerErrorSection(node="conv1", op_type="Conv", sqnr_decibel=20.0),)}
    )
    drawn = charts(layered)
    assert [chart.title for chart in drawn] == [
        "Accuracy against latency",
        "Latency of single runs",
        "Time by operator type",
        "Slowest nodes",
        "Error by layer",
    ]
    for chart in drawn:
        texts = re.findall(r"<text[^>]*>([^<]+)</text>", chart.svg)
        units = [text for text in texts if re.search(r"\[(ms|%|dB)", text)]
        assert units, chart.title
        assert any(text in ("operator", "layer") for text in texts) or len(units) == 2, chart.title
        assert "#01" not in chart.svg
        assert "var(--ink)" in chart.svg


def test_the_same_report_gives_the_same_page(report: RunReport, page: str) -> None:
    assert html(report) == page


def test_the_tolerance_line_and_the_written_models_are_in_the_scatter(report: RunReport) -> None:
    scatter = charts(report)[0].svg
    for word in ("tolerance", "int8 (QLinear)", "int8 (QDQ)", "fp32", "trial, not timed"):
        assert word in scatter


def test_the_pareto_set_is_what_no_other_point_beats() -> None:
    best, quick, slow = Point(2.0, 70.0), Point(1.0, 60.0), Point(3.0, 65.0)
    assert pareto([slow, best, quick]) == [quick, best]


def test_nothing_measured_still_gives_a_page(report: RunReport) -> None:
    bare = report.model_copy(
        update={"measurement": None, "profile": None, "flips": None, "resources": (), "formats": None, "rewrites": ()}
    )
    _Page(html(bare))


def test_the_comparison_of_two_runs_has_three_charts_with_units(report: RunReport) -> None:
    text = comparison_html([("a", report), ("b", report)])
    _Page(text)
    for unit in ("[points]", "[times fp32]", "[MB]"):
        assert unit in text


_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FRAME = """<iframe id=f src="{page}" style="border:0;width:{width}px;height:3000px"></iframe><p id=r></p><script>
f.onload = () => {{ const d = f.contentDocument; r.textContent = JSON.stringify({{
scroll: d.documentElement.scrollWidth, width: f.clientWidth, charts: d.querySelectorAll("figure svg").length,
missing: [...d.images].filter(image => !image.complete || !image.naturalWidth).length, images: d.images.length }}) }}
</script>"""


@pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_it_without_scrolling_sideways(page: str, width: int, tmp_path: Path) -> None:
    assert _CHROMIUM is not None
    (tmp_path / "page.html").write_text(page, "utf-8")
    (tmp_path / "frame.html").write_text(_FRAME.format(page="page.html", width=width), "utf-8")
    words = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
    ]
    words += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--window-size=1600,900"]
    ran = subprocess.run(
        [_CHROMIUM, *words, "--dump-dom", f"file://{tmp_path / 'frame.html'}"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    match = re.search(r'<p id="r">(\{.*?\})</p>', ran.stdout)
    assert match, ran.stderr
    seen = json.loads(match[1])
    assert seen["scroll"] <= seen["width"]
    assert (seen["missing"], seen["charts"]) == (0, 4)
    assert seen["images"] > 0
    assert "CONSOLE" not in ran.stderr
