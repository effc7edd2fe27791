"""The sections of a report that say what was measured."""

from __future__ import annotations

from quantize.report.data import preprocessing_name
from quantize.report.schema import RunReport


def test_a_preset_with_changed_parts_is_named_with_them(report: RunReport) -> None:
    given = report.preprocessing
    assert preprocessing_name(given) == "caffe"
    changed = given.model_copy(update={"scale": 1 / 255, "mean": (0.0, 0.0, 0.0)})
    assert preprocessing_name(changed) == "caffe with another scale, mean"
