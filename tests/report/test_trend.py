"""Runs beside each other as a chart."""

from __future__ import annotations

import re

from quantize.report.schema import RunReport
from quantize.report.trend import comparison_html


def test_the_runs_are_named_in_their_order_and_fp32s_speed_is_a_line(report: RunReport) -> None:
    drawn = comparison_html([("runs/new", report), ("runs/old/report.json", report)])
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", drawn)
    assert [text for text in texts if text in ("new", "old")] == ["new", "old"]
    assert "as fast as fp32" in texts
