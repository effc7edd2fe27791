"""A measurement as a person reads it."""

from __future__ import annotations

from quantize.measurement.timing.speedup import Speedup
from quantize.measurement.timing.summary import milliseconds, shortened, speedup_line, summary


def speedup_of(ratio: float, low: float | None, high: float | None) -> Speedup:
    p_value = None if low is None else 0.0002
    return Speedup(
        baseline="a", candidate="b", ratio=ratio, low=low, high=high, confidence=0.95, rounds=9, p_value=p_value
    )


def test_the_summary_gives_times_speed_up_noise_floor_and_environment_within_80_columns(recorded):
    text = summary(recorded)
    assert all(len(line) <= 80 for line in text.splitlines())
    for word in ("p50", "fp32 again", "int8: 2.0", "noise floor", "avx512_vnni", "onnxruntime", "steal", "threads 1"):
        assert word in text
    assert "warning" not in text


def test_doubts_are_listed_below_with_advice(changed):
    text = summary(changed(plan={"asked_threads": 4}))
    assert "warning: 4 cores per instance" in text
    assert "to do: " in text


def test_a_governor_that_the_system_does_not_tell_is_called_unknown(changed):
    assert "governor unknown" in summary(changed(environment={"governor": None})).replace("\n", " ")
    assert "governor powersave" in summary(changed(environment={"governor": "powersave"})).replace("\n", " ")


def test_a_difference_below_the_noise_floor_is_called_none():
    assert (
        speedup_line(speedup_of(1.01, 1.005, 1.015), 0.02) == "b: 1.01x (95 %: 1.00 to 1.01, p < 0.001): no difference"
    )
    assert speedup_line(speedup_of(2.0, 1.9, 2.1), 0.02) == "b: 2.00x (95 %: 1.90 to 2.10, p < 0.001)"
    assert speedup_line(speedup_of(2.0, None, None), None) == "b: 2.00x: too few rounds to tell"


def test_times_have_three_digits_that_count_and_absence_is_a_dash():
    texts = [milliseconds(value) for value in (3_264_000, 32_640_000, 326_400_000, None)]
    assert texts == ["3.26 ms", "32.6 ms", "326 ms", "-"]


def test_long_names_lose_their_middle():
    assert shortened("squeezenet1.0-13-qdq", 11) == "squee…3-qdq"
    assert shortened("int8", 11) == "int8"
