"""The recorded run as text."""

from __future__ import annotations

from quantize.report.lines import WIDTH
from quantize.report.schema import RunReport
from quantize.report.text import summary
from tests.report.conftest import Golden


def test_the_text_of_a_run_is_as_recorded(report: RunReport, golden: Golden) -> None:
    golden("report.txt", summary(report))


def test_text_is_eighty_columns_wide_and_has_the_verdict_first(report: RunReport) -> None:
    lines = summary(report).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0] == f"squeezenet1.0-12.onnx: {report.verdict.headline}"
    assert lines[1].startswith("Ship int8 (squeezenet1.0-12-int8.onnx): 2.87x of fp32's speed")
    assert report.verdict.text in lines
