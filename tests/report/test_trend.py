"""Several runs over time."""

from __future__ import annotations

from quantize.report.schema import RunReport
from quantize.report.trend import trend_of, trend_table


def test_the_trend_lists_the_oldest_run_first(report: RunReport) -> None:
    origin = report.provenance.model_copy(update={"created": "2020-01-01T00:00:00+00:00"})
    older = report.model_copy(update={"provenance": origin})
    rows = trend_table(trend_of([("new", report), ("old", older)])).rows
    assert [row[0] for row in rows] == ["old int8", "old qdq", "new int8", "new qdq"]
