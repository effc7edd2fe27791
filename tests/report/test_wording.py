from __future__ import annotations

import re
from pathlib import Path

import pytest

import quantize
from quantize.measurement.timing.speedup import Speedup
from quantize.report import wording
from quantize.report.search import RatioSection


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (wording.percent(0.6725), "67.25 %"),
        (wording.points(0.0065), "+0.65"),
        (wording.points(-0.000001), "+0.00"),
        (wording.bounds(-0.001, 0.02, factor=100), "[-0.10, 2.00]"),
        (wording.p_value(0.0004), "<0.001"),
        (wording.milliseconds(3_210_000), "3.21 ms"),
        (wording.megabytes(1_293_388), "1.29 MB"),
        (wording.times(2.08), "2.08x"),
        (wording.seconds(93.2), "1 min 33 s"),
        (wording.times_with_bounds(RatioSection(ratio=2.0, low=1.9, high=2.1)), "2.00x [1.90, 2.10]"),
        (wording.times_with_bounds(RatioSection(ratio=2.0, low=1.9, high=None)), "2.00x –"),
    ],
)
def test_numbers_read_as_a_person_writes_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_absence_is_a_dash() -> None:
    none: Speedup | None = None
    words = [wording.percent(None), wording.points(None), wording.bounds(None, 1.0), wording.p_value(None)]
    words += [wording.milliseconds(None), wording.megabytes(None), wording.times(None), wording.times_with_bounds(none)]
    assert set(words) == {wording.NOTHING}


def test_no_code_writes_a_percentage_without_a_space() -> None:
    """Python's own format of a percentage has none: everything that people read has one."""
    package = Path(quantize.__file__).parent
    without = [
        f"{path.relative_to(package)}:{number}"
        for path in sorted(package.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"\{[^{}]*:[^{}]*%\}|\}%|\.format\(.*%\}", line)
    ]
    assert without == []
