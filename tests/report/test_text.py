"""The recorded run as text."""

from __future__ import annotations

from quantize.report.schema import RunReport
from quantize.report.text import WIDTH, summary
from tests.report.conftest import Golden


def test_the_text_of_a_run_is_as_recorded(report: RunReport, golden: Golden) -> None:
    golden("report.txt", summary(report))


def test_text_is_eighty_columns_wide_and_has_the_verdict_first(report: RunReport) -> None:
    lines = summary(report).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0] == report.verdict.text
