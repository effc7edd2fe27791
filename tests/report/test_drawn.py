"""The recorded run as text and as Markdown; QUANTIZE_UPDATE_GOLDEN=1 writes the golden files anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.report.data import preprocessing_name
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.text import WIDTH, summary
from quantize.report.trend import trend_of, trend_table

_GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(("name", "draw"), [("report.txt", summary), ("report.md", markdown)])
def test_a_report_is_drawn_as_before(name: str, draw: Callable[[RunReport], str], report: RunReport) -> None:
    drawn, golden = draw(report).rstrip("\n") + "\n", _GOLDEN / name
    if os.environ.get("QUANTIZE_UPDATE_GOLDEN"):
        golden.write_text(drawn, encoding="utf-8")
    assert drawn == golden.read_text(encoding="utf-8")


def test_text_is_eighty_columns_wide_and_has_the_verdict_first(report: RunReport) -> None:
    lines = summary(report).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0] == report.verdict.text


def test_published_figures_stand_beside_the_runs_own(report: RunReport) -> None:
    drawn = markdown(report)
    assert "| fp32, published | 56.85 % | 79.87 % |" in drawn
    assert "| int8 (QLinear), published | 56.48 % | 79.76 % |" in drawn
    assert "not on the images of this run" in drawn


def test_an_unknown_model_has_no_published_rows(report: RunReport) -> None:
    unknown = report.model_copy(update={"source": report.source.model_copy(update={"published": ()})})
    assert "published" not in markdown(unknown)


def test_what_was_not_measured_is_left_out_or_a_dash(report: RunReport) -> None:
    bare = report.model_copy(
        update={"measurement": None, "profile": None, "flips": None, "resources": (), "formats": None, "rewrites": ()}
    )
    drawn = markdown(bare)
    assert "Latency" not in drawn
    assert "Rewrites" not in drawn
    for word in ("nan", "None"):
        assert word not in drawn


def test_the_trend_lists_the_oldest_run_first(report: RunReport) -> None:
    origin = report.provenance.model_copy(update={"created": "2020-01-01T00:00:00+00:00"})
    older = report.model_copy(update={"provenance": origin})
    rows = trend_table(trend_of([("new", report), ("old", older)])).rows
    assert [row[0] for row in rows] == ["old int8", "old qdq", "new int8", "new qdq"]


def test_a_preset_with_changed_parts_is_named_with_them(report: RunReport) -> None:
    given = report.preprocessing
    assert preprocessing_name(given) == "caffe"
    changed = given.model_copy(update={"scale": 1 / 255, "mean": (0.0, 0.0, 0.0)})
    assert preprocessing_name(changed) == "caffe with another scale, mean"
