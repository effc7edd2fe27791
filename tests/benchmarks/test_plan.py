"""What the benchmark of the plan reads in a log."""

from __future__ import annotations

import pytest

from benchmarks import plan


@pytest.mark.parametrize(("text", "seconds"), [("8 s", 8), ("3.5 s", 3.5), ("1 min 10 s", 70), ("2 h 05 min", 7500)])
def test_durations_are_read_as_they_are_written(text: str, seconds: float) -> None:
    assert plan.seconds(text) == seconds


def test_what_was_said_is_held_against_what_was_left_in_truth() -> None:
    lines = [
        (0.0, "read the model"),
        (2.0, "the whole run takes about 1 min 00 s:"),
        (2.0, "  tune: 50 s"),
        (2.0, "  write the report: 10 s"),
        (2.1, "decode the images"),
        (12.0, "tune: at work; about 40 s of the whole run left"),
    ]
    told = plan.told(lines, 92.0, {"tune": 80.0})
    assert (told.whole, told.took) == (60, 90)
    assert told.planned == {"tune": 50, "write the report": 10}
    assert told.lines == ((40, 80),)
    assert "said / real 0.50" in plan.in_words(told)
