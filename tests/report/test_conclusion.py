"""What a run advises, and in which order it says what that rests on."""

from __future__ import annotations

import pytest

from quantize.measurement.timing.measurement import Measurement, speedups
from quantize.report import conclusion as conclusions
from quantize.report.conclusion import conclusion
from quantize.report.rough import RoughSection
from quantize.report.schema import RunReport
from tests.report.test_headline import spoken


def test_a_run_that_met_everything_says_to_ship_int8_with_its_figures(report: RunReport) -> None:
    told = conclusion(report)
    assert told.decision == "ship int8"
    assert told.recommendation == "Ship int8 (squeezenet1.0-12-int8.onnx): 2.87x of fp32's speed at 26 % of its size."
    assert {point.subject for point in told.points} == {"accuracy", "speed", "size"}


def test_a_slower_model_says_to_keep_fp32_and_why_and_speed_comes_first(report: RunReport) -> None:
    told = conclusion(spoken(report))
    assert told.decision == "keep fp32"
    assert told.recommendation.startswith("Keep fp32 here: int8 is slower on this CPU.")
    assert (told.points[0].subject, told.points[0].state) == ("speed", "not met")


def test_what_was_not_met_comes_before_what_is_slower(report: RunReport) -> None:
    slow = spoken(report, status="not asked")
    verdict = slow.verdict.model_copy(update={"accuracy": "not met"})
    told = conclusion(slow.model_copy(update={"verdict": verdict}))
    assert [(point.subject, point.state) for point in told.points] == [
        ("accuracy", "not met"),
        ("speed", "slower"),
        ("size", "good"),
    ]
    assert told.recommendation.startswith("Keep fp32 here: int8 loses more accuracy than allowed.")


def test_one_file_that_is_fast_enough_is_named(report: RunReport) -> None:
    slow = spoken(report)
    speed = slow.verdict.speed
    assert speed is not None
    fast = speed.files[0].model_copy(update={"slower": False, "outcome": "met"})
    verdict = slow.verdict.model_copy(update={"speed": speed.model_copy(update={"files": (fast, speed.files[1])})})
    told = conclusion(slow.model_copy(update={"verdict": verdict}))
    assert told.recommendation.startswith("Ship squeezenet1.0-12-int8.onnx only")


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({"accuracy": "inconclusive", "status": "inconclusive"}, "add images"),
        ({"accuracy": "not asked", "status": "not asked"}, "judge yourself"),
    ],
)
def test_what_is_not_settled_is_not_shipped(report: RunReport, changes: dict[str, str], decision: str) -> None:
    verdict = report.verdict.model_copy(update=changes)
    assert conclusion(report.model_copy(update={"verdict": verdict})).decision == decision


def test_files_for_other_cpus_are_to_be_measured_there(report: RunReport) -> None:
    told = conclusion(spoken(report, target="avx2", status="not measured for the target"))
    assert told.decision == "measure on the target"
    assert "class avx2" in told.recommendation


def test_the_demonstration_proves_nothing(report: RunReport) -> None:
    data = report.data.model_copy(update={"demonstration": True})
    assert conclusion(report.model_copy(update={"data": data})).decision == "try your own images"


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every speed-up one of a busy machine: its interval is more than a quarter of it wide."""

    def wide(measurement: Measurement) -> list[object]:
        return [gain.model_copy(update={"low": 2.25, "high": 3.5}) for gain in speedups(measurement)]

    monkeypatch.setattr(conclusions, "speedups", wide)


@pytest.mark.usefixtures("busy")
def test_a_speed_up_of_a_busy_machine_is_told_by_its_lower_end(report: RunReport) -> None:
    told = conclusion(report)
    assert "at least 2.25x of fp32's speed" in told.recommendation
    (speed,) = (point.text for point in told.points if point.subject == "speed")
    assert "a busy machine, so anything from 2.25x to 3.50x" in speed


@pytest.mark.usefixtures("busy")
def test_a_quick_run_claims_no_more_of_a_busy_machine(report: RunReport) -> None:
    rough = RoughSection(images=500, drawn=224, evaluated=192, calibrated=32, timed_runs=60, trials=1)
    told = conclusion(report.model_copy(update={"rough": rough}))
    assert told.decision == "tune in full"
    assert "int8 looks worth it (at least 2.25x of fp32's speed)" in told.recommendation
