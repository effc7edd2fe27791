"""The recorded run as Markdown."""

from __future__ import annotations

import re

from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from tests.report.conftest import Golden


def test_the_markdown_of_a_run_is_as_recorded(report: RunReport, golden: Golden) -> None:
    golden("report.md", markdown(report))


def test_published_figures_are_listed_next_to_the_runs_own(report: RunReport) -> None:
    drawn = markdown(report)
    assert "| fp32, published | 56.85 % | 79.87 % |" in drawn
    assert "| int8 (QLinear), published | 56.48 % | 79.76 % |" in drawn
    assert "not on those of this run" in drawn


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
    assert not re.search(r"\b(nan|None)\b", drawn)
